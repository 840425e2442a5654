//! What the server says that it can do.

use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity,
    SqlSupportedTransaction, XdbcDataType,
    metadata::{
        SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
    },
};

use super::ticket::HANDLE_LIFETIME;
use crate::error::{Error, Result};

pub(super) fn sql_info() -> Result<SqlInfoData> {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "weir");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::FlightSqlServerCancel, false);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    let handle_milliseconds = i32::try_from(HANDLE_LIFETIME.as_millis()).unwrap_or(i32::MAX);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, handle_milliseconds);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);

    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, false);
    info.append(SqlInfo::SqlDdlTable, false);
    let folded = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    info.append(SqlInfo::SqlIdentifierCase, folded);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    // No value says that case matters, as it does between quotes.
    let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32;
    info.append(SqlInfo::SqlQuotedIdentifierCase, exact);
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlSupportsColumnAliasing, true);
    info.append(SqlInfo::SqlNullPlusNullIsNull, true);
    info.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    info.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    info.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    info.append(SqlInfo::SqlSelectForUpdateSupported, false);
    info.append(SqlInfo::SqlStoredProceduresSupported, false);
    info.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    info.append(SqlInfo::SqlTransactionsSupported, false);
    info.build().map_err(Error::internal)
}

/// The SQL types that a statement can name, with PostgreSQL's names.
pub(super) fn type_info() -> Result<XdbcTypeInfoData> {
    use XdbcDataType::*;
    let mut types = XdbcTypeInfoDataBuilder::new();
    // Name, type, size in characters or digits, whether its literals are quoted.
    for (name, data_type, size, is_quoted) in [
        ("boolean", XdbcBit, 1, false),
        ("smallint", XdbcSmallint, 5, false),
        ("integer", XdbcInteger, 10, false),
        ("bigint", XdbcBigint, 19, false),
        ("real", XdbcReal, 7, false),
        ("double precision", XdbcDouble, 15, false),
        ("numeric", XdbcNumeric, 76, false),
        ("date", XdbcDate, 10, true),
        ("time", XdbcTime, 15, true),
        ("timestamp", XdbcTimestamp, 26, true),
        ("varchar", XdbcVarchar, i32::MAX, true),
        ("bytea", XdbcVarbinary, i32::MAX, true),
    ] {
        let is_number = matches!(
            data_type,
            XdbcSmallint | XdbcInteger | XdbcBigint | XdbcReal | XdbcDouble | XdbcNumeric
        );
        let quote = is_quoted.then(|| "'".to_owned());
        types.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type,
            column_size: Some(size),
            literal_prefix: quote.clone(),
            literal_suffix: quote,
            nullable: Nullable::NullabilityNullable,
            case_sensitive: data_type == XdbcVarchar,
            searchable: Searchable::Full,
            unsigned_attribute: is_number.then_some(false),
            auto_increment: is_number.then_some(false),
            sql_data_type: data_type,
            num_prec_radix: is_number.then_some(10),
            ..XdbcTypeInfo::default()
        });
    }
    types.build().map_err(Error::internal)
}
