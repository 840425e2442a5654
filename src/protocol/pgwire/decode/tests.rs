#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::protocol::pgwire::types::oid;

/// Every type with a receive function, some that have none, and their arrays.
const OIDS: &[u32] = &[
    0,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    25,
    26,
    28,
    29,
    30,
    114,
    142,
    194,
    199,
    700,
    701,
    705,
    790,
    869,
    1000,
    1001,
    1002,
    1003,
    1005,
    1007,
    1009,
    1014,
    1015,
    1016,
    1021,
    1022,
    1028,
    1042,
    1043,
    1082,
    1083,
    1114,
    1115,
    1182,
    1183,
    1184,
    1185,
    1186,
    1187,
    1231,
    1266,
    1700,
    2249,
    2277,
    2287,
    2950,
    2951,
    3802,
    3807,
    3904,
    u32::MAX,
];

fn text(oid: u32, text: &str, expected: &DataType) -> Result<ScalarValue> {
    let parameter = Parameter { oid, format: Format::Text, bytes: Some(text.as_bytes()) };
    decode_parameter(parameter, expected, &Zone::Utc)
}

fn binary(oid: u32, bytes: &[u8]) -> Result<ScalarValue> {
    let parameter = Parameter { oid, format: Format::Binary, bytes: Some(bytes) };
    decode_parameter(parameter, &DataType::Null, &Zone::Utc)
}

/// xorshift64*
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[test]
fn no_bytes_panic() {
    // Bytes that parsers look for, so that random input gets past their first line.
    const ALPHABET: &[u8] = b"0123456789 {}[]\",\\:=-+.eETZPYMDWHSabcdfninfu/\t\0\x01\xff\xc3\xa9";
    let mut state = 1;
    let zone = Zone::parse("Europe/Berlin").unwrap();
    for oid in OIDS {
        let expected = arrow_type(*oid).unwrap_or(DataType::Utf8);
        for round in 0..3_000_u64 {
            let length = next(&mut state) % 40;
            let bytes: Vec<u8> = (0..length)
                .map(|_| match round % 3 {
                    0 => next(&mut state) as u8,
                    1 => ALPHABET[(next(&mut state) % ALPHABET.len() as u64) as usize],
                    // Mostly zeros: short counts and lengths of the binary formats.
                    _ => {
                        (next(&mut state) % 256) as u8
                            * u8::from(next(&mut state).is_multiple_of(6))
                    }
                })
                .collect();
            for format in [Format::Text, Format::Binary] {
                let parameter = Parameter { oid: *oid, format, bytes: Some(&bytes) };
                if let Err(error) = decode_parameter(parameter, &expected, &zone) {
                    assert_ne!(error.kind, ErrorKind::Internal, "{oid} {format:?} {bytes:?}");
                }
            }
        }
    }
}

#[test]
fn damaged_arrays_and_numbers_do_not_panic() {
    let array: Vec<u8> =
        [1, 1, 23, 2, 1, 4, 7, -1].iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    let number: Vec<u8> = [2_i16, 0, 0, 2, 1, 5000].iter().flat_map(|n| n.to_be_bytes()).collect();
    assert!(binary(1007, &array).is_ok());
    assert!(binary(oid::NUMERIC, &number).is_ok());
    for (oid, valid) in [(1007, array), (oid::NUMERIC, number)] {
        for end in 0..valid.len() {
            assert!(binary(oid, &valid[..end]).is_err(), "{oid} cut at {end}");
        }
        for at in 0..valid.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = valid.clone();
                damaged[at] = byte;
                let _ = binary(oid, &damaged);
            }
        }
    }
}

#[test]
fn errors_have_the_sqlstate_of_postgres() {
    for (oid, bytes, state) in [
        (oid::INT4, [0; 3].as_slice(), "08P01"),
        (oid::INT4, &[0; 5], "08P01"),
        (oid::BOOL, &[], "08P01"),
        (oid::INTERVAL, &[0; 12], "08P01"),
        (oid::TEXT, &[0xc3], "22021"),
        (oid::TEXT, b"a\0b", "22021"),
        (oid::JSONB, &[2, b'1'], "08P01"),
        (oid::JSONB, &[], "08P01"),
        (oid::JSONB, &[1, b'{'], "22P02"),
        (oid::DATE, &i32::MAX.to_be_bytes(), "22003"),
        (oid::TIMESTAMP, &i64::MIN.to_be_bytes(), "22003"),
        (oid::TIME, &(-1_i64).to_be_bytes(), "22003"),
        (869, &[0; 8], "0A000"),
    ] {
        let error = binary(oid, bytes).unwrap_err();
        assert_eq!(error.kind.sqlstate(), state, "{oid} {bytes:?}: {error}");
    }
    for (literal, oid, state, message) in [
        ("abc", oid::INT4, "22P02", "invalid input syntax for type integer: \"abc\""),
        (
            "99999999999",
            oid::INT4,
            "22003",
            "value \"99999999999\" is out of range for type integer",
        ),
        ("x", oid::DATE, "22007", "invalid input syntax for type date: \"x\""),
    ] {
        let error = text(oid, literal, &DataType::Null).unwrap_err();
        assert_eq!((error.kind.sqlstate(), error.message.as_str()), (state, message));
    }
}

#[test]
fn an_open_type_is_the_expected_one() {
    for (literal, expected) in [
        ("1", DataType::Int16),
        ("1", DataType::UInt64),
        ("1.50", DataType::Decimal128(12, 2)),
        ("t", DataType::Boolean),
        ("x", DataType::Utf8View),
        ("x", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
        ("2024-01-01", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("2024-01-01", DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()))),
        ("10:00", DataType::Time32(TimeUnit::Second)),
        ("{1,2}", DataType::LargeList(Field::new_list_field(DataType::Int16, true).into())),
        ("{{1},{2}}", {
            let inner = DataType::List(Field::new("element", DataType::Int32, true).into());
            DataType::List(Field::new("element", inner, true).into())
        }),
    ] {
        for oid in [0, oid::UNKNOWN] {
            // A nested list is announced as an array of its innermost type.
            assert_eq!(text(oid, literal, &expected).unwrap().data_type(), expected, "{literal}");
        }
    }
}

#[test]
fn a_value_that_does_not_fit_keeps_its_own_type() {
    use DataType as T;
    for (oid, literal, expected, actual) in [
        (oid::NUMERIC, "1.005", T::Decimal128(12, 2), T::Decimal128(4, 3)),
        (oid::NUMERIC, "1.50", T::Decimal128(12, 2), T::Decimal128(12, 2)),
        (oid::NUMERIC, "1.00", T::Int32, T::Int32),
        (oid::NUMERIC, "1.5", T::Int32, T::Decimal128(2, 1)),
        (oid::INT8, "5000000000", T::Int32, T::Int64),
        (oid::INT8, "5", T::Int32, T::Int32),
        (oid::INT8, "-5", T::UInt32, T::Int64),
        (oid::INT8, "9007199254740993", T::Float64, T::Int64),
        (oid::FLOAT8, "1.5", T::Int64, T::Float64),
        (oid::FLOAT8, "2", T::Int64, T::Int64),
        (oid::FLOAT8, "-0", T::Int64, T::Float64),
        (oid::FLOAT8, "0.1", T::Float32, T::Float64),
        (oid::FLOAT8, "0.1", T::Decimal128(2, 1), T::Float64),
        (oid::TEXT, "1", T::Int64, T::Utf8),
        (
            oid::TIMESTAMP,
            "2024-01-01 00:00:00.000001",
            T::Timestamp(TimeUnit::Millisecond, None),
            T::Timestamp(TimeUnit::Microsecond, None),
        ),
        (
            oid::TIMESTAMP,
            "9999-01-01",
            T::Timestamp(TimeUnit::Nanosecond, None),
            T::Timestamp(TimeUnit::Microsecond, None),
        ),
        (oid::TIMESTAMP, "2024-01-01 10:00", T::Date32, T::Timestamp(TimeUnit::Microsecond, None)),
        (
            oid::UUID,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            T::FixedSizeBinary(16),
            T::FixedSizeBinary(16),
        ),
    ] {
        let value = text(oid, literal, &expected).unwrap();
        assert_eq!(value.data_type(), actual, "{literal} for {expected}");
        assert!(!value.is_null());
    }
}

#[test]
fn local_times_meet_instants_in_the_session_zone() {
    let zone = Zone::parse("America/New_York").unwrap();
    let instant = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let local = DataType::Timestamp(TimeUnit::Microsecond, None);
    for (oid, literal, expected, seconds) in [
        (oid::TIMESTAMP, "2024-07-01 00:00", &instant, 1_719_806_400),
        (oid::DATE, "2024-07-01", &instant, 1_719_806_400),
        (oid::TIMESTAMPTZ, "2024-07-01 00:00+00", &local, 1_719_777_600),
    ] {
        let bytes = Some(literal.as_bytes());
        let value =
            decode_parameter(Parameter { oid, format: Format::Text, bytes }, expected, &zone)
                .unwrap();
        assert_eq!(value.data_type(), *expected, "{literal}");
        let (ScalarValue::TimestampNanosecond(Some(ticks), _)
        | ScalarValue::TimestampMicrosecond(Some(ticks), _)) = value
        else {
            panic!("{value:?}")
        };
        let per_second = if *expected == local { 1_000_000 } else { 1_000_000_000 };
        assert_eq!(ticks / per_second, seconds, "{literal}");
    }
}

#[test]
fn null_has_the_expected_type() {
    let null = Parameter { oid: 2278, format: Format::Binary, bytes: None };
    let value = decode_parameter(null, &DataType::Date32, &Zone::Utc).unwrap();
    assert_eq!(value, ScalarValue::Date32(None));
    let null = Parameter { oid: oid::INT8, ..null };
    let value = decode_parameter(null, &DataType::Null, &Zone::Utc).unwrap();
    assert_eq!(value, ScalarValue::Int64(None));
}
