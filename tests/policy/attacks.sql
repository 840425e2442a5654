-- A shop whose every value that somebody may not see holds a canary: `CANARY-<kind>-<number>`.
CREATE DATABASE acme_shop;
CREATE DATABASE acme_hr;
\connect acme_hr

CREATE SCHEMA dbo;
CREATE TABLE dbo.staff (id integer PRIMARY KEY, name text, salary integer);
INSERT INTO dbo.staff VALUES (1, 'CANARY-staff-1', 7700), (2, 'CANARY-staff-2', 7701);
ANALYZE;
\connect acme_shop

CREATE TABLE customers (id integer PRIMARY KEY, name text, email text, phone text, ssn text, city text);
INSERT INTO customers SELECT
    g, (ARRAY['Ann', 'Ben', 'Cleo', 'Dan'])[g], 'CANARY-email-' || g || '@x.io', 'CANARY-phone-' || g,
    'CANARY-ssn-' || g, (ARRAY['Berlin', 'Lyon'])[1 + g % 2]
FROM generate_series(1, 4) AS g;

-- Of two tenants: three rows are acme's in the EU, two acme's in the US, three globex's.
CREATE TABLE orders (
    id integer PRIMARY KEY, tenant_id text, region text, amount numeric(12, 2), note text, customer_id integer
);
INSERT INTO orders VALUES
    (1, 'acme', 'EU', 10.00, 'first', 1),
    (2, 'acme', 'EU', 20.00, 'second', 1),
    (3, 'acme', 'EU', 30.00, 'a''''b', 2),
    (4, 'acme', 'US', 7700.01, 'CANARY-us-1', 2),
    (5, 'acme', 'US', 7700.02, 'CANARY-us-2', 3),
    (6, 'globex', 'EU', 7700.03, 'CANARY-globex-1', 3),
    (7, 'globex', 'EU', 7700.04, 'CANARY-globex-2', 4),
    (8, 'globex', 'US', 7700.05, 'CANARY-far-1', 4);

-- Fails at the source, with a value in the text.
CREATE VIEW broken AS SELECT id, CAST('HUSHED-' || id AS integer) AS number FROM orders;
CREATE VIEW "weird""name" AS SELECT id, name AS "ü😀", city AS "a.b", email AS "a""b" FROM customers;
ANALYZE;
