//! The metadata keys that an Arrow field carries from a source to the doors.

use arrow::datatypes::Field;

/// The type's name in PostgreSQL, as `format_type` prints it: `character varying(80)`, `jsonb`,
/// `uuid`, `numeric`. Absent: the doors derive it from the Arrow type.
pub const PG_TYPE: &str = "weir.pg_type";

/// The column's comment at the source.
pub const COMMENT: &str = "weir.comment";

/// Why the column can't be read. It is listed, and reading it is an error that says this.
pub const UNREADABLE: &str = "weir.unreadable";

pub fn pg_type(field: &Field) -> Option<&str> {
    field.metadata().get(PG_TYPE).map(String::as_str)
}

pub fn comment(field: &Field) -> Option<&str> {
    field.metadata().get(COMMENT).map(String::as_str)
}

pub fn unreadable(field: &Field) -> Option<&str> {
    field.metadata().get(UNREADABLE).map(String::as_str)
}
