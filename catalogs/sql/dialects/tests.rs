#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    postgres::dialect::{Postgres, tests::short_texts},
    sql::{
        Aggregate, Comparison, Dialect, From, JoinKind, Literal, OrderBy, Output, Query, Scalar,
        TableName, render,
    },
};

const ALL: [&dyn Dialect; 3] = [&ClickHouse, &SqlServer, &Oracle];

fn literal(dialect: &dyn Dialect, literal: &Literal) -> Option<String> {
    let mut out = String::new();
    dialect.literal(&mut out, literal).map(|()| out)
}

fn name(dialect: &dyn Dialect, name: &str) -> Option<String> {
    let mut out = String::new();
    dialect.identifier(&mut out, name).map(|()| out)
}

/// Reads from behind the opening quote to the closing one: what it means, and what follows it.
fn lex(body: &str, close: char, has_escapes: bool) -> (String, &str) {
    let (mut meaning, mut rest) = (String::new(), body.char_indices());
    while let Some((at, character)) = rest.next() {
        let next = body[at + character.len_utf8()..].chars().next();
        let is_doubled = character == close && next == Some(close);
        if is_doubled || (character == '\\' && has_escapes) {
            meaning.push(rest.next().unwrap().1);
        } else if character == close {
            return (meaning, &body[at + 1..]);
        } else {
            meaning.push(character);
        }
    }
    unreachable!("it does not end: {body}")
}

#[test]
fn texts_and_names_mean_themselves() {
    for text in short_texts().into_iter().filter(|text| !text.is_empty()) {
        for (dialect, opening, end, is_escaped) in [
            (ALL[0], "'", "", true),
            (ALL[1], "N'", "", false),
            (ALL[2], "CAST('", &format!(" AS VARCHAR2({} BYTE))", text.len()), false),
        ] {
            let sql = literal(dialect, &Literal::Text(text.clone())).unwrap();
            let body = sql.strip_prefix(opening).unwrap();
            assert_eq!(lex(body, '\'', is_escaped), (text.clone(), end), "{sql}");
        }
        for (dialect, open, close, is_escaped) in
            [(ALL[0], '"', '"', true), (ALL[1], '[', ']', false), (ALL[2], '"', '"', false)]
        {
            let Some(sql) = name(dialect, &text) else {
                assert!(text.contains('"') && matches!(close, '"') && !is_escaped, "{text}");
                continue;
            };
            let body = sql.strip_prefix(open).unwrap();
            assert_eq!(lex(body, close, is_escaped), (text.clone(), ""), "{sql}");
        }
    }
}

#[test]
fn constants_carry_their_type() {
    let integer = |value, bits, is_signed| Literal::Integer { value, bits, is_signed };
    let uuid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    for (constant, expected) in [
        (Literal::Boolean(true), [Some("true"), Some("CAST(1 AS bit)"), None]),
        (
            integer(-7, 32, true),
            [Some("CAST('-7', 'Int32')"), Some("CAST(-7 AS int)"), Some("CAST(-7 AS NUMBER)")],
        ),
        (
            integer(200, 8, false),
            [
                Some("CAST('200', 'UInt8')"),
                Some("CAST(200 AS tinyint)"),
                Some("CAST(200 AS NUMBER)"),
            ],
        ),
        (integer(200, 8, true), [None; 3]),
        (integer(1, 7, true), [None; 3]),
        (
            Literal::Float32(-2.0),
            [None, Some("CAST(-2 AS real)"), Some("CAST(-2 AS BINARY_FLOAT)")],
        ),
        (Literal::Float64(0.1), [None; 3]),
        (Literal::Float64(1e300), [None; 3]),
        (Literal::Float64(f64::NAN), [None, None, Some("BINARY_DOUBLE_NAN")]),
        (Literal::Float64(f64::NEG_INFINITY), [None, None, Some("-BINARY_DOUBLE_INFINITY")]),
        (
            Literal::Decimal("-0.10".into()),
            [
                Some("CAST('-0.10', 'Decimal(38, 2)')"),
                Some("CAST('-0.10' AS decimal(3, 2))"),
                Some("CAST(-0.10 AS NUMBER)"),
            ],
        ),
        (Literal::Decimal("1'".into()), [None; 3]),
        (Literal::Decimal("--1".into()), [None; 3]),
        (Literal::Decimal("9".repeat(77)), [None; 3]),
        (Literal::Text(String::new()), [Some("''"), Some("N''"), None]),
        (Literal::Text("é".into()), [Some("'é'"), Some("N'é'"), None]),
        (Literal::Text("a\0".into()), [None; 3]),
        (
            Literal::Text("a\\\nb".into()),
            [Some("'a\\\\\nb'"), None, Some("CAST('a\\\nb' AS VARCHAR2(4 BYTE))")],
        ),
        (Literal::PaddedText("a".into()), [None, Some("N'a'"), Some("'a'")]),
        (
            Literal::Uuid(uuid.into()),
            [
                Some("CAST('aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 'UUID')"),
                Some("CAST('aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee' AS uniqueidentifier)"),
                None,
            ],
        ),
        (
            Literal::Date(-1),
            [
                Some("CAST('1969-12-31', 'Date32')"),
                Some("CAST('1969-12-31' AS date)"),
                Some("DATE '1969-12-31'"),
            ],
        ),
        (Literal::Date(-719_162), [None, Some("CAST('0001-01-01' AS date)"), None]),
        (Literal::Date(i32::MAX), [None; 3]),
        (Literal::Time(1), [None, Some("CAST('00:00:00.000001' AS time(6))"), None]),
        (Literal::Time(MICROS_PER_DAY), [None; 3]),
        (
            Literal::Timestamp(-1),
            [
                Some("toDateTime64('1969-12-31 23:59:59.999999', 6, 'UTC')"),
                Some("CAST('1969-12-31T23:59:59.999999' AS datetime2(6))"),
                Some("TIMESTAMP '1969-12-31 23:59:59.999999'"),
            ],
        ),
        (
            Literal::Instant(0),
            [
                Some("toDateTime64('1970-01-01 00:00:00.000000', 6, 'UTC')"),
                Some("CAST('1970-01-01T00:00:00.000000+00:00' AS datetimeoffset(6))"),
                Some("TIMESTAMP '1970-01-01 00:00:00.000000 +00:00'"),
            ],
        ),
        (Literal::Instant(i64::MIN), [None; 3]),
    ] {
        for (dialect, sql) in ALL.iter().zip(expected) {
            assert_eq!(literal(*dialect, &constant).as_deref(), sql, "{dialect:?} {constant:?}");
        }
    }
}

fn column(name: &str) -> Scalar {
    Scalar::Column(name.to_owned())
}

fn table(name: &str) -> From {
    From::Table(TableName { schema: "s".to_owned(), name: name.to_owned() })
}

fn equal(left: Scalar, right: Scalar) -> Scalar {
    let (left, right) = (Box::new(left), Box::new(right));
    Scalar::Compare { comparison: Comparison::Equal, left, right }
}

fn seven() -> Literal {
    Literal::Integer { value: 7, bits: 32, is_signed: true }
}

#[test]
fn one_query_in_every_dialect() {
    let exists =
        Query { filter: Some(equal(column("u"), column("k"))), ..Query::all_of(table("c")) };
    let case = Scalar::Case {
        branches: vec![(Scalar::IsNull(Box::new(column("d"))), Scalar::Literal(seven()))],
        otherwise: None,
    };
    let largest = Scalar::Aggregate {
        function: Aggregate::Max,
        operand: Some(Box::new(case)),
        is_distinct: false,
        filter: None,
    };
    let on = equal(column("k"), column("j"));
    let (left, right) = (Box::new(table("a")), Box::new(table("b")));
    let query = Query {
        columns: vec![
            Output { value: column("k"), name: "k".to_owned() },
            Output { value: largest, name: "n".to_owned() },
        ],
        filter: Some(Scalar::And(vec![
            Scalar::In { operand: Box::new(column("k")), list: vec![seven()] },
            Scalar::Exists(Box::new(exists)),
        ])),
        group_by: Some(vec![column("k")]),
        order_by: vec![OrderBy { value: column("k"), is_descending: false, nulls_first: false }],
        limit: Some(5),
        offset: Some(2),
        ..Query::all_of(From::Join { kind: JoinKind::Left, left, right, on })
    };
    let dialects: [(&dyn Dialect, &str); 4] = [
        (
            &Postgres,
            r#"SELECT "k", max(CASE WHEN "d" IS NULL THEN '7'::pg_catalog.int4 END) AS "n" FROM "s"."a" LEFT JOIN "s"."b" ON "k" = "j" WHERE ("k" IN ('7'::pg_catalog.int4)) AND (EXISTS (SELECT FROM "s"."c" WHERE "u" = "k")) GROUP BY "k" ORDER BY "k" ASC NULLS LAST LIMIT 5 OFFSET 2"#,
        ),
        (
            &ClickHouse,
            r#"SELECT "k", max(CASE WHEN "d" IS NULL THEN CAST('7', 'Int32') END) AS "n" FROM "s"."a" LEFT JOIN "s"."b" ON "k" = "j" WHERE ("k" IN (CAST('7', 'Int32'))) AND (EXISTS (SELECT 1 FROM "s"."c" WHERE "u" = "k")) GROUP BY "k" ORDER BY "k" ASC NULLS LAST LIMIT 5 OFFSET 2"#,
        ),
        (
            &SqlServer,
            "SELECT [k], MAX(CASE WHEN [d] IS NULL THEN CAST(7 AS int) END) AS [n] FROM [s].[a] LEFT JOIN [s].[b] ON [k] = [j] WHERE ([k] IN (CAST(7 AS int))) AND (EXISTS (SELECT 1 AS [one] FROM [s].[c] WHERE [u] = [k])) GROUP BY [k] ORDER BY CASE WHEN [k] IS NULL THEN 1 ELSE 0 END, [k] ASC OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY",
        ),
        (
            &Oracle,
            r#"SELECT "k", MAX(CASE WHEN "d" IS NULL THEN CAST(7 AS NUMBER) END) AS "n" FROM "s"."a" LEFT JOIN "s"."b" ON "k" = "j" WHERE ("k" IN (CAST(7 AS NUMBER))) AND (EXISTS (SELECT NULL FROM "s"."c" WHERE "u" = "k")) GROUP BY "k" ORDER BY "k" ASC NULLS LAST OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY"#,
        ),
    ];
    for (dialect, sql) in dialects {
        assert_eq!(render(dialect, &query).unwrap().as_str(), sql);
    }
}

#[test]
fn truths_and_values_stand_in_their_places() {
    let both = Scalar::And(vec![column("a"), column("b")]);
    let query = Query { filter: Some(Scalar::IsNull(Box::new(both))), ..Query::all_of(table("t")) };
    let dialects: [(&dyn Dialect, Option<&str>); 4] = [
        (&Postgres, Some(r#"SELECT FROM "s"."t" WHERE (("a") AND ("b")) IS NULL"#)),
        (&ClickHouse, Some(r#"SELECT 1 FROM "s"."t" WHERE ((("a") AND ("b"))) IS NULL"#)),
        (
            &SqlServer,
            Some(
                "SELECT 1 AS [one] FROM [s].[t] WHERE (CAST(CASE WHEN ([a] = 1) AND ([b] = 1) THEN 1 WHEN NOT (([a] = 1) AND ([b] = 1)) THEN 0 END AS bit)) IS NULL",
            ),
        ),
        (&Oracle, None),
    ];
    for (dialect, sql) in dialects {
        assert_eq!(render(dialect, &query).as_ref().map(|sql| sql.as_str()), sql);
    }
}
