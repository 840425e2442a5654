-- Dates, times and intervals.
extract(century FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('century', TIMESTAMP '2024-02-29 12:34:56.789')
extract(century FROM DATE '2021-01-03')
extract(century FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(century FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(century FROM ts)
over v: date_part('century', d)
extract(day FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('day', TIMESTAMP '2024-02-29 12:34:56.789')
extract(day FROM DATE '2021-01-03')
extract(day FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(day FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(day FROM ts)
over v: date_part('day', d)
extract(decade FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('decade', TIMESTAMP '2024-02-29 12:34:56.789')
extract(decade FROM DATE '2021-01-03')
extract(decade FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(decade FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(decade FROM ts)
over v: date_part('decade', d)
extract(dow FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('dow', TIMESTAMP '2024-02-29 12:34:56.789')
extract(dow FROM DATE '2021-01-03')
extract(dow FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(dow FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(dow FROM ts)
over v: date_part('dow', d)
extract(doy FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('doy', TIMESTAMP '2024-02-29 12:34:56.789')
extract(doy FROM DATE '2021-01-03')
extract(doy FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(doy FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(doy FROM ts)
over v: date_part('doy', d)
extract(epoch FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('epoch', TIMESTAMP '2024-02-29 12:34:56.789')
extract(epoch FROM DATE '2021-01-03')
extract(epoch FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(epoch FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(epoch FROM TIME '12:34:56.789')
over v: extract(epoch FROM ts)
over v: date_part('epoch', d)
extract(hour FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('hour', TIMESTAMP '2024-02-29 12:34:56.789')
extract(hour FROM DATE '2021-01-03')
extract(hour FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(hour FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(hour FROM TIME '12:34:56.789')
over v: extract(hour FROM ts)
over v: date_part('hour', d)
extract(isodow FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('isodow', TIMESTAMP '2024-02-29 12:34:56.789')
extract(isodow FROM DATE '2021-01-03')
extract(isodow FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(isodow FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(isodow FROM ts)
over v: date_part('isodow', d)
extract(isoyear FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('isoyear', TIMESTAMP '2024-02-29 12:34:56.789')
extract(isoyear FROM DATE '2021-01-03')
extract(isoyear FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(isoyear FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(isoyear FROM ts)
over v: date_part('isoyear', d)
extract(julian FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('julian', TIMESTAMP '2024-02-29 12:34:56.789')
extract(julian FROM DATE '2021-01-03')
extract(julian FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(julian FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(julian FROM ts)
over v: date_part('julian', d)
extract(microseconds FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('microseconds', TIMESTAMP '2024-02-29 12:34:56.789')
extract(microseconds FROM DATE '2021-01-03')
extract(microseconds FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(microseconds FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(microseconds FROM TIME '12:34:56.789')
over v: extract(microseconds FROM ts)
over v: date_part('microseconds', d)
extract(millennium FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('millennium', TIMESTAMP '2024-02-29 12:34:56.789')
extract(millennium FROM DATE '2021-01-03')
extract(millennium FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(millennium FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(millennium FROM ts)
over v: date_part('millennium', d)
extract(milliseconds FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('milliseconds', TIMESTAMP '2024-02-29 12:34:56.789')
extract(milliseconds FROM DATE '2021-01-03')
extract(milliseconds FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(milliseconds FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(milliseconds FROM TIME '12:34:56.789')
over v: extract(milliseconds FROM ts)
over v: date_part('milliseconds', d)
extract(minute FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('minute', TIMESTAMP '2024-02-29 12:34:56.789')
extract(minute FROM DATE '2021-01-03')
extract(minute FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(minute FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(minute FROM TIME '12:34:56.789')
over v: extract(minute FROM ts)
over v: date_part('minute', d)
extract(month FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('month', TIMESTAMP '2024-02-29 12:34:56.789')
extract(month FROM DATE '2021-01-03')
extract(month FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(month FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(month FROM ts)
over v: date_part('month', d)
extract(quarter FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('quarter', TIMESTAMP '2024-02-29 12:34:56.789')
extract(quarter FROM DATE '2021-01-03')
extract(quarter FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(quarter FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(quarter FROM ts)
over v: date_part('quarter', d)
extract(second FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('second', TIMESTAMP '2024-02-29 12:34:56.789')
extract(second FROM DATE '2021-01-03')
extract(second FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(second FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
extract(second FROM TIME '12:34:56.789')
over v: extract(second FROM ts)
over v: date_part('second', d)
extract(week FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('week', TIMESTAMP '2024-02-29 12:34:56.789')
extract(week FROM DATE '2021-01-03')
extract(week FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(week FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(week FROM ts)
over v: date_part('week', d)
extract(year FROM TIMESTAMP '2024-02-29 12:34:56.789')
date_part('year', TIMESTAMP '2024-02-29 12:34:56.789')
extract(year FROM DATE '2021-01-03')
extract(year FROM INTERVAL '1 year 2 mons 3 days 04:05:06.789')
extract(year FROM TIMESTAMPTZ '1999-12-31 23:59:59.5+00')
over v: extract(year FROM ts)
over v: date_part('year', d)
date_trunc('microseconds', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('microseconds', ts)
date_trunc('milliseconds', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('milliseconds', ts)
date_trunc('second', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('second', ts)
date_trunc('minute', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('minute', ts)
date_trunc('hour', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('hour', ts)
date_trunc('hour', DATE '2021-01-03')
over v: date_trunc('hour', tz)
date_trunc('hour', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('day', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('day', ts)
date_trunc('day', DATE '2021-01-03')
over v: date_trunc('day', tz)
date_trunc('day', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('week', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('week', ts)
date_trunc('week', DATE '2021-01-03')
over v: date_trunc('week', tz)
date_trunc('week', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('month', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('month', ts)
date_trunc('month', DATE '2021-01-03')
over v: date_trunc('month', tz)
date_trunc('month', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('quarter', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('quarter', ts)
date_trunc('quarter', DATE '2021-01-03')
over v: date_trunc('quarter', tz)
date_trunc('quarter', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('year', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('year', ts)
date_trunc('year', DATE '2021-01-03')
over v: date_trunc('year', tz)
date_trunc('year', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('decade', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('decade', ts)
date_trunc('decade', DATE '2021-01-03')
over v: date_trunc('decade', tz)
date_trunc('decade', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('century', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('century', ts)
date_trunc('century', DATE '2021-01-03')
over v: date_trunc('century', tz)
date_trunc('century', INTERVAL '3 years 14 mons 40 days 25:30:40.5')
date_trunc('millennium', TIMESTAMP '2024-02-29 12:34:56.789123')
over v: date_trunc('millennium', ts)
extract(timezone FROM TIMESTAMPTZ '2024-01-01 00:00+02')
extract(timezone_hour FROM TIMESTAMPTZ '2024-01-01 00:00+02')
extract(foo FROM DATE '2024-01-01')
date_part('YEAR', DATE '2024-01-01')
date_part('years', INTERVAL '1 year')
date_part('y', DATE '2024-01-01')
date_trunc('MONTH', CAST('2024-02-29' AS TIMESTAMP))
date_trunc('foo', TIMESTAMP '2024-01-01')
date_trunc('day', TIMESTAMPTZ '2024-03-31 12:00:00+00', 'Europe/Berlin')
date_trunc('month', TIMESTAMPTZ '2024-03-31 23:30:00+00')
date_trunc('day', '2024-01-01')
date_trunc('hour', TIME '12:34:56')
DATE '2024-01-31' + 1
DATE '2024-01-31' - 1
1 + DATE '2024-01-31'
DATE '2024-03-01' - DATE '2024-02-01'
DATE '2024-01-31' + INTERVAL '1 month'
DATE '2024-01-31' - INTERVAL '1 month'
DATE '2024-01-31' + INTERVAL '1 day'
INTERVAL '1 day' + DATE '2024-01-31'
DATE '2024-01-31' + TIME '10:00'
DATE '2024-01-31' + '1 day'
DATE '2024-01-31' + '1'
'2024-01-31'::date + 7
TIMESTAMP '2024-01-31 10:00' + INTERVAL '1 month'
TIMESTAMP '2024-03-31 10:00' - INTERVAL '1 month'
TIMESTAMP '2024-01-31 10:00' + INTERVAL '1 year 1 day 01:00'
TIMESTAMP '2024-03-01 10:00' - TIMESTAMP '2024-02-01 09:30'
TIMESTAMP '2024-02-01' - TIMESTAMP '2024-03-01 10:00'
TIMESTAMP '2024-02-01' - DATE '2024-01-01'
DATE '2024-02-01' - TIMESTAMP '2024-01-01 12:00'
TIMESTAMP '2024-01-01 00:00' + TIME '10:00'
TIMESTAMP '2024-01-01' + 1
TIMESTAMPTZ '2024-01-31 10:00+00' + INTERVAL '1 month'
TIMESTAMPTZ '2024-03-01 10:00+00' - TIMESTAMPTZ '2024-02-01 09:30+02'
TIMESTAMPTZ '2024-03-01 10:00+00' - TIMESTAMP '2024-02-01 09:30'
TIME '10:00' + INTERVAL '3 hours'
TIME '23:00' + INTERVAL '3 hours'
TIME '10:00' - TIME '08:30'
TIME '10:00' - INTERVAL '11 hours'
INTERVAL '1 day' + INTERVAL '2 hours'
INTERVAL '1 day' - INTERVAL '2 hours'
INTERVAL '1 month' - INTERVAL '1 day'
- INTERVAL '1 day'
3 * INTERVAL '1 DAY'
INTERVAL '1 DAY' * 3
INTERVAL '1 month' * 1.5
INTERVAL '1 day' * 0.5
2.5 * INTERVAL '1 hour'
INTERVAL '1 day' / 2
INTERVAL '1 month' / 2
INTERVAL '1 hour' / 1.5
INTERVAL '1 hour' / 0
1.5::float8 * INTERVAL '1 month'
TRUNC(1.7) * INTERVAL '1 DAY'
DATE '2024-01-01' + 3 * INTERVAL '1 DAY'
DATE '2024-01-01' + TRUNC(2.0) * INTERVAL '1 MONTH'
TIMESTAMP '2024-01-01' + 90 * INTERVAL '1 minute'
INTERVAL '1 year' = INTERVAL '12 months'
INTERVAL '1 month' < INTERVAL '31 days'
INTERVAL '-1 day' < INTERVAL '0'
DATE '2024-01-01' < TIMESTAMP '2024-01-01 00:00:01'
DATE '2024-01-01' = TIMESTAMP '2024-01-01'
DATE '2024-01-01' = '2024-01-01'
DATE '2024-01-01' > '2023-12-31'
TIMESTAMP '2024-01-01' = '2024-01-01'
TIMESTAMPTZ '2024-01-01 00:00+00' = TIMESTAMP '2024-01-01'
TIME '10:00' < TIME '11:00'
age(TIMESTAMP '2024-03-01', TIMESTAMP '2023-01-15')
age(TIMESTAMP '2024-02-29', TIMESTAMP '2023-03-01')
age(TIMESTAMP '2001-04-10', TIMESTAMP '1957-06-13')
age(TIMESTAMP '2024-01-01', TIMESTAMP '2024-03-31 12:00')
age(DATE '2024-03-31', DATE '2024-02-29')
age(TIMESTAMPTZ '2024-03-01 00:00+00', TIMESTAMPTZ '2024-01-01 00:00+00')
age(current_date) = INTERVAL '0'
age(current_date::timestamp, current_date::timestamp)
make_date(2024, 2, 29)
make_date(2023, 2, 29)
make_date(-44, 3, 15)
make_time(8, 15, 23.5)
make_timestamp(2024, 2, 29, 12, 30, 15.5)
make_timestamptz(2024, 2, 29, 12, 30, 15.5)
make_timestamptz(2024, 2, 29, 12, 30, 15.5, 'Europe/Berlin')
make_interval(years => 1, months => 2)
make_interval(1, 2, 3, 4, 5, 6, 7.5)
make_interval(days => 10)
make_interval()
justify_days(INTERVAL '35 days')
justify_hours(INTERVAL '27 hours')
justify_interval(INTERVAL '1 mon -1 hour')
justify_days(INTERVAL '-35 days')
date_bin('15 minutes', TIMESTAMP '2024-02-29 12:34:56', TIMESTAMP '2001-01-01')
date_bin('1 hour', TIMESTAMP '2024-02-29 12:34:56', TIMESTAMP '2001-01-01 00:02:30')
date_bin('7 days', TIMESTAMP '2024-02-29 12:34:56', TIMESTAMP '2024-01-01')
date_bin('1 month', TIMESTAMP '2024-02-29', TIMESTAMP '2001-01-01')
isfinite(DATE '2024-01-01')
isfinite(TIMESTAMP '2024-01-01')
isfinite(INTERVAL '1 day')
'infinity'::timestamp
'-infinity'::date
'infinity'::timestamp > TIMESTAMP '2024-01-01'
'0044-03-15 BC'::date
'epoch'::timestamp
'today'::date = current_date
'now'::timestamp IS NOT NULL
'January 8, 1999'::date
'1999-Jan-08'::date
'08-Jan-1999'::date
'19990108'::date
'1999.008'::date
'1/8/1999'::date
'2024-01-01T10:00:00Z'::timestamptz
'2024-01-01 10:00:00 PST'::timestamptz
'2024-01-01 10:00:00 Europe/Berlin'::timestamptz
'2024-07-01 10:00 America/New_York'::timestamptz
'10:00 PM'::time
'2024-01-01 10:00 PM'::timestamp
'20240101 101112'::timestamp
TIMESTAMP '2024-07-01 12:00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2024-01-01 12:00' AT TIME ZONE 'UTC'
TIMESTAMPTZ '2024-07-01 12:00+00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMPTZ '2024-07-01 12:00+00' AT TIME ZONE 'America/New_York'
TIMESTAMPTZ '2024-07-01 12:00+00' AT TIME ZONE '+02'
TIMESTAMPTZ '2024-07-01 12:00+00' AT TIME ZONE INTERVAL '2 hours'
TIMESTAMP '2024-03-31 02:30' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2024-10-27 02:30' AT TIME ZONE 'Europe/Berlin'
timezone('Europe/Berlin', TIMESTAMPTZ '2024-07-01 12:00+00')
TIMESTAMPTZ '2024-07-01 12:00+00' AT TIME ZONE 'Nowhere/Land'
(TIMESTAMP '2024-07-01 12:00' AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Tokyo'
now() = now()
now() = current_timestamp
now() = transaction_timestamp()
now()::date = current_date
pg_typeof(current_date)
pg_typeof(current_timestamp)
pg_typeof(localtimestamp)
pg_typeof(current_time)
pg_typeof(localtime)
current_timestamp IS NOT NULL
localtimestamp IS NOT NULL
statement_timestamp() >= now()
clock_timestamp() >= now()
current_timestamp(0) IS NOT NULL
localtimestamp(3) IS NOT NULL
timeofday() IS NOT NULL
to_char(DATE '2024-02-29', 'YYYY-MM-DD')
to_char(TIMESTAMP '2024-02-29 13:04:05.678', 'HH24:MI:SS.MS')
to_char(TIMESTAMP '2024-02-29 13:04:05.678', 'HH12:MI:SS AM')
to_char(TIMESTAMP '2024-02-29 13:04:05.678', 'HH:MI:SS pm')
to_char(TIMESTAMP '2024-02-29 13:04:05.678', 'YYYY-MM-DD"T"HH24:MI:SS')
to_char(TIMESTAMP '2024-02-29 13:04:05.678912', 'US MS FF1 FF3 FF6')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'Month|MONTH|month|Mon|MON|mon')
to_char(TIMESTAMP '2024-05-01 13:04:05', 'FMMonth FMDD, YYYY')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'Day|DAY|day|Dy|DY|dy|D|ID')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'FMDay')
to_char(TIMESTAMP '2024-02-03 13:04:05', 'DDth DDTH Dth FMDDth')
to_char(TIMESTAMP '2024-02-01 13:04:05', 'FMDDth')
to_char(TIMESTAMP '2024-02-11 13:04:05', 'FMDDth')
to_char(TIMESTAMP '2024-02-22 13:04:05', 'FMDDth')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'DDD IDDD WW IW W CC J Q')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'YYYY YYY YY Y Y,YYY')
to_char(TIMESTAMP '2024-12-30 13:04:05', 'IYYY IYY IY I IW ID')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'RM rm')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'SSSS SSSSS')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'BC AD b.c. a.d.')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'A.M. a.m. P.M.')
to_char(TIMESTAMP '2024-02-29 03:04:05', 'FMHH24:FMMI:FMSS')
to_char(TIMESTAMP '2024-02-29 00:04:05', 'HH12 HH')
to_char(TIMESTAMPTZ '2024-02-29 13:04:05+00', 'TZ tz TZH TZM OF')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'TZ')
to_char(TIMESTAMP '2024-02-29 13:04:05', '"literal" YYYY \"q\"')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'Hello, it is HH24')
to_char(TIMESTAMP '2024-02-29 13:04:05', '')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'YYYYMMDDHH24MISS')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'yyyy-mm-dd hh24:mi:ss')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'TMMonth TMDay')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'FXYYYY')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'MonthDD')
to_char(TIMESTAMP '2024-02-29 13:04:05', '%Y')
to_char(TIMESTAMP '2024-02-29 13:04:05', 'YYYYth')
to_char(TIMESTAMP '0044-03-15 00:00:00 BC', 'YYYY BC')
to_char(INTERVAL '1 year 2 months 3 days 04:05:06', 'YYYY MM DD HH24:MI:SS')
to_char(INTERVAL '15h 2m 12s', 'HH24:MI:SS')
to_char(INTERVAL '100 hours', 'HH24 HH12')
to_char(INTERVAL '-1 day', 'DD')
to_char(INTERVAL '40 days', 'DDD J')
to_char(INTERVAL '1 day', 'Month')
to_char(TIME '10:11:12', 'HH24:MI')
to_char(125, '999')
to_char(125, '9999')
to_char(125, '99')
to_char(125, '000000')
to_char(-125, '999')
to_char(125, 'FM9999')
to_char(-125, 'FM9999')
to_char(125, '999th')
to_char(1234567, '9,999,999')
to_char(1234567, 'FM9,999,999')
to_char(1234, '9,999,999')
to_char(1234.5, '9999.99')
to_char(1234.5, '9999.00')
to_char(1234.567, '9999.9')
to_char(1234.5, 'FM9999.99')
to_char(1234.5, 'FM9999.00')
to_char(0.1, '0.9')
to_char(0.1, '9.9')
to_char(0.1, 'FM9.9')
to_char(-0.1, '99.99')
to_char(12, '9990999.9')
to_char(12, 'FM9990999.9')
to_char(485, '999')
to_char(-485, '999S')
to_char(-485, 'S999')
to_char(485, 'S999')
to_char(-485, '999MI')
to_char(485, '999MI')
to_char(485, 'FM999MI')
to_char(-485, '999PR')
to_char(485, 'PL999')
to_char(485, 'SG999')
to_char(-485, 'SG999')
to_char(-485, '9SG99')
to_char(485, 'L999')
to_char(485, 'RN')
to_char(485, 'FMRN')
to_char(5.2, 'FMRN')
to_char(482, '999th')
to_char(485, '"Good number:"999')
to_char(485.8, '"Pre:"999" Post:" .999')
to_char(12, '99V999')
to_char(12.4, '99V999')
to_char(12.45, '99V9')
to_char(0.0004859, '9.99EEEE')
to_char(123456, '9.99EEEE')
to_char(1.5::float8, '9.99')
to_char(1.5::real, '9.99')
to_char('NaN'::float8, '999')
to_char(123456789012::bigint, '999,999,999,999')
to_char(148.5, '999D9')
to_char(1485, '9G999')
to_char(3148.5, '9G999D999')
to_char(NULL::int, '999')
to_char(0, '999')
to_char(0, 'FM999')
to_char(0, '9.99')
to_char(0.5, '999')
to_char(1.5, '999')
to_char(2.5, '999')
to_char(0, 'FM0.00')
to_char(1e10, '999')
to_char(0.99, '9.9')
to_char(-1.5, 'FM9.9')
to_char(12345.678, 'FM99,999.00')
to_char(0.75, 'FM990%')
to_char(1, '0000')
to_char(-1, '0000')
to_date('2024-02-29', 'YYYY-MM-DD')
to_date('20240229', 'YYYYMMDD')
to_date('05 Dec 2000', 'DD Mon YYYY')
to_date('December 5, 2000', 'FMMonth DD, YYYY')
to_date('2024-13-01', 'YYYY-MM-DD')
to_date('2023-02-29', 'YYYY-MM-DD')
to_date('24-02-29', 'YY-MM-DD')
to_date('2024 060', 'YYYY DDD')
to_date('2024-09-4', 'IYYY-IW-ID')
to_date('29/02/2024', 'DD/MM/YYYY')
to_date('2024', 'YYYY')
to_date('2024-02', 'YYYY-MM')
to_date('1/2/2024', 'MM/DD/YYYY')
to_date('x', 'YYYY')
to_date('', 'YYYY')
to_date(NULL, 'YYYY')
to_timestamp('2024-02-29 12:34:56', 'YYYY-MM-DD HH24:MI:SS')
to_timestamp('2024-02-29 12:34:56.789', 'YYYY-MM-DD HH24:MI:SS.MS')
to_timestamp('12:34 PM 2024-02-29', 'HH12:MI AM YYYY-MM-DD')
to_timestamp('2024-02-29T12:34:56', 'YYYY-MM-DD"T"HH24:MI:SS')
to_timestamp('29.02.2024 5', 'DD.MM.YYYY HH24')
to_timestamp('2024-02-29 25:00', 'YYYY-MM-DD HH24:MI')
to_timestamp('2024-02-29 13:00', 'YYYY-MM-DD HH12:MI')
to_timestamp(0)
to_timestamp(1709210096.789)
to_timestamp(1709210096)
to_number('12,454.8-', '99G999D9S')
to_number('12,454.8', '99G999D9')
to_number('1234', '9999')
to_number('-12.5', '99.9')
to_number('$1,234.56', 'L9,999.99')
to_number('abc', '999')
date('2024-02-29 10:00'::timestamp)
date '2024-01-01' + time '10:00'
timestamp '2024-02-29 10:00'::date + 1
EXTRACT(EPOCH FROM TIMESTAMP '2024-02-29 12:34:56.789')
EXTRACT(EPOCH FROM INTERVAL '1 month')
EXTRACT(EPOCH FROM (TIMESTAMP '2024-02-29' - TIMESTAMP '2024-02-28'))
EXTRACT(DAY FROM (TIMESTAMP '2024-03-29' - TIMESTAMP '2024-02-28'))
(DATE '2024-03-29' - DATE '2024-02-28') / 7
(EXTRACT(year FROM DATE '2024-03-29') * 12 + EXTRACT(month FROM DATE '2024-03-29'))::int
CAST(EXTRACT(YEAR FROM DATE '2024-03-29') AS integer)
date_part('day', DATE '2024-03-29'::timestamp - DATE '2024-02-28'::timestamp)
SELECT generate_series(1, 3)
SELECT * FROM generate_series(1, 3)
SELECT * FROM generate_series(1, 10, 3)
SELECT * FROM generate_series(3, 1)
SELECT * FROM generate_series(3, 1, -1)
SELECT * FROM generate_series(1, 3) AS g(x)
SELECT x FROM generate_series(1, 3) AS x
SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-01-03', INTERVAL '1 day')
SELECT * FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-01 06:00', INTERVAL '2 hours')
SELECT * FROM generate_series(TIMESTAMP '2024-01-31', TIMESTAMP '2024-04-30', INTERVAL '1 month')
SELECT d::date FROM generate_series('2024-01-01'::date, '2024-01-03', '1 day') d
SELECT * FROM generate_series(1.0, 2.0, 0.5)
SELECT * FROM generate_series(1, 3, 0)
SELECT generate_series(1, 2), 'x'
over v: d + 1
over v: d - 1
over v: d - DATE '2024-01-01'
over v: d + INTERVAL '1 day'
over v: CASE WHEN d < '9000-01-01' THEN d + INTERVAL '1 month' END
over v: ts + INTERVAL '1 hour'
over v: ts - INTERVAL '1 month'
over v: ts - TIMESTAMP '2024-01-01'
over v: tz - INTERVAL '1 day'
over v: ts - d
over v: tm + INTERVAL '1 hour'
over v: tm - TIME '01:00'
over v: iv + INTERVAL '1 day'
over v: iv * 2
over v: iv / 2
over v: i2 * INTERVAL '1 day'
over v: n * INTERVAL '1 hour'
over v: ts + iv
over v: d + iv
over v: d + i2
over v: age(ts, TIMESTAMP '2000-01-01')
over v: ts::date
over v: ts::time
over v: tz::date
over v: tz::timestamp
over v: d::timestamp
over v: d::text
over v: to_char(ts, 'YYYY-MM-DD HH24:MI:SS.US')
over v: to_char(ts, 'FMDay, FMDDth FMMonth YYYY')
over v: to_char(d, 'Q IYYY-IW-ID DDD')
over v: to_char(tz, 'HH12:MI AM TZ')
over v: to_char(iv, 'YYYY-MM-DD HH24:MI:SS')
over v: to_char(n, '999,999,990.99')
over v: to_char(n, 'FM999999990.00')
over v: to_char(i4, '9,999,999,999')
over v: to_char(i4, 'FM000000')
over v: to_char(i8, 'S9999999999999999999')
over v: CASE WHEN f8 BETWEEN -1e6 AND 1e6 THEN to_char(f8, '99999.99') END
over v: to_char(n, '9.9EEEE')
over v: to_char(i2, 'RN')
over v: to_char(n, '99999PR')
over v: tz AT TIME ZONE 'UTC'
over v: CASE WHEN tz < '9000-01-01' THEN tz AT TIME ZONE 'America/New_York' END
over v: ts AT TIME ZONE 'UTC'
over v: extract(epoch FROM tz)
over v: extract(epoch FROM iv)
over v: extract(day FROM iv)
over v: extract(hour FROM tm)
over v: extract(second FROM tm)
over v: date_part('second', ts)
over v: date_part('epoch', ts)
over v: justify_interval(iv)
over v: isfinite(d)
over v: date_bin('1 day', ts, TIMESTAMP '2000-01-01')
over v: make_interval(days => i2)
over v: d = ts::date
over v: d < ts
over v: ts < tz
over v: d BETWEEN '2000-01-01' AND '2024-12-31'
over v: ts >= DATE '2024-01-01' AND ts < DATE '2024-01-01' + INTERVAL '1 year'
over v: (d, d + 1) OVERLAPS (DATE '2024-01-01', DATE '2024-12-31')
