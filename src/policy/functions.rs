//! Functions of masks. Each has an answer for every value: an error would tell of the value.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Date32Array, PrimitiveArray, StringArray,
            TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
            TimestampSecondArray,
        },
        compute,
        datatypes::{
            ArrowPrimitiveType, DataType, Date32Type, Int32Type, Int64Type, TimeUnit,
            TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
            TimestampSecondType,
        },
    },
    common::{ScalarValue, internal_err, plan_err},
    error::Result,
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

use super::mask::TenantKey;

/// Text to its digest under a tenant's key. The key is in no text that is printed of a plan.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct KeyedDigest {
    key: TenantKey,
    signature: Signature,
}

impl KeyedDigest {
    pub fn new(key: TenantKey) -> Self {
        Self { key, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for KeyedDigest {
    fn name(&self) -> &str {
        "mask_hmac"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = arguments.args[0].to_array(arguments.number_rows)?;
        let values = compute::cast(&values, &DataType::Utf8)?;
        let digests: StringArray = values
            .as_string::<i32>()
            .iter()
            .map(|value| value.map(|value| self.key.digest(value)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(digests)))
    }
}

/// `date_trunc(unit, value)`, in the type of the value; what does not fit that type is NULL. Times
/// with a zone are cut in UTC.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Truncate {
    signature: Signature,
}

impl Default for Truncate {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    /// A part of a day: so many to a day.
    PartOfDay(i64),
}

impl Unit {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" => Self::Day,
            "hour" => Self::PartOfDay(24),
            "minute" => Self::PartOfDay(24 * 60),
            "second" => Self::PartOfDay(24 * 60 * 60),
            _ => return None,
        })
    }

    /// `value` counts ticks since 1970.
    fn truncate(self, value: i64, ticks_per_day: i64) -> Option<i64> {
        let day = value.div_euclid(ticks_per_day);
        let first_day = match self {
            Self::PartOfDay(parts) => {
                let ticks = (ticks_per_day / parts).max(1);
                return value.checked_sub(value.rem_euclid(ticks));
            }
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month | Self::Quarter | Self::Year => {
                let (year, month) = month_of(day);
                let month = match self {
                    Self::Year => 1,
                    Self::Quarter => (month - 1) / 3 * 3 + 1,
                    _ => month,
                };
                first_of(year, month)
            }
        };
        first_day.checked_mul(ticks_per_day)
    }
}

/// Year and month (1 to 12) of a day counted from 1970, in the Gregorian calendar: Howard Hinnant's
/// `civil_from_days`, whose years begin in March.
fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The inverse, for the first day of a month.
fn first_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl ScalarUDFImpl for Truncate {
    fn name(&self) -> &str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Utf8, of @ (DataType::Date32 | DataType::Timestamp(..))] => Ok(of.clone()),
            _ => plan_err!("date_trunc takes a unit and a date or timestamp"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = match &arguments.args[0] {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(word))) => Unit::parse(word),
            ColumnarValue::Scalar(_) | ColumnarValue::Array(_) => None,
        };
        let Some(unit) = unit else {
            return plan_err!(
                "date_trunc takes year, quarter, month, week, day, hour, minute or second"
            );
        };
        let values = arguments.args[1].to_array(arguments.number_rows)?;
        const DAY: i64 = 24 * 60 * 60;
        let truncated: ArrayRef = match values.data_type() {
            DataType::Date32 => {
                let days: &Date32Array = values.as_primitive::<Date32Type>();
                let first = |day: i32| {
                    unit.truncate(i64::from(day), 1).and_then(|day| i32::try_from(day).ok())
                };
                let days: PrimitiveArray<Int32Type> =
                    days.iter().map(|day| day.and_then(first)).collect();
                Arc::new(days.reinterpret_cast::<Date32Type>())
            }
            DataType::Timestamp(scale, zone) => {
                let zone = zone.clone();
                match scale {
                    TimeUnit::Second => {
                        let array: TimestampSecondArray =
                            cut::<TimestampSecondType>(&values, unit, DAY);
                        Arc::new(array.with_timezone_opt(zone))
                    }
                    TimeUnit::Millisecond => {
                        let array: TimestampMillisecondArray =
                            cut::<TimestampMillisecondType>(&values, unit, DAY * 1_000);
                        Arc::new(array.with_timezone_opt(zone))
                    }
                    TimeUnit::Microsecond => {
                        let array: TimestampMicrosecondArray =
                            cut::<TimestampMicrosecondType>(&values, unit, DAY * 1_000_000);
                        Arc::new(array.with_timezone_opt(zone))
                    }
                    TimeUnit::Nanosecond => {
                        let array: TimestampNanosecondArray =
                            cut::<TimestampNanosecondType>(&values, unit, DAY * 1_000_000_000);
                        Arc::new(array.with_timezone_opt(zone))
                    }
                }
            }
            other => return internal_err!("date_trunc of {other}"),
        };
        Ok(ColumnarValue::Array(truncated))
    }
}

fn cut<T: ArrowPrimitiveType<Native = i64>>(
    values: &ArrayRef,
    unit: Unit,
    ticks_per_day: i64,
) -> PrimitiveArray<T> {
    let ticks: PrimitiveArray<Int64Type> = values
        .as_primitive::<T>()
        .iter()
        .map(|value| value.and_then(|value| unit.truncate(value, ticks_per_day)))
        .collect();
    ticks.reinterpret_cast::<T>()
}

/// What a policy's `date_trunc` takes as its unit.
pub fn is_unit(word: &str) -> bool {
    Unit::parse(word).is_some()
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn days_are_cut_as_the_calendar_says() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let days = |date: NaiveDate| (date - epoch).num_days();
        for day in (-800_000..800_000).step_by(37) {
            let date = epoch + chrono::Duration::days(day);
            let on = |month: u32| NaiveDate::from_ymd_opt(date.year(), month, 1).unwrap();
            for (unit, expected) in [
                ("year", on(1)),
                ("quarter", on((date.month() - 1) / 3 * 3 + 1)),
                ("month", on(date.month())),
                ("week", date.week(chrono::Weekday::Mon).first_day()),
                ("day", date),
            ] {
                let cut = Unit::parse(unit).unwrap().truncate(day, 1);
                assert_eq!(cut, Some(days(expected)), "{unit} of {date}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_null_and_nothing_panics() {
        let per_day = 86_400_000_000;
        for unit in ["year", "quarter", "month", "week", "day", "hour", "minute", "second"] {
            let unit = Unit::parse(unit).unwrap();
            for value in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
                if let Some(cut) = unit.truncate(value, per_day) {
                    assert!(cut <= value && value - cut < 367 * per_day, "{unit:?} of {value}");
                }
            }
        }
        assert_eq!(Unit::Year.truncate(i64::MIN, per_day), None);
        assert_eq!(Unit::PartOfDay(24).truncate(3_600_000_001, per_day), Some(3_600_000_000));
    }
}
