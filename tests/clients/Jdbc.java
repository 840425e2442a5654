import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;
import java.util.TreeSet;

/** pgjdbc, which DBeaver and Tableau use: metadata, server-prepared statements, pages, errors. */
public class Jdbc {
    static void check(boolean holds, Object found) {
        if (!holds) {
            throw new AssertionError(String.valueOf(found));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties login = new Properties();
        login.setProperty("user", System.getenv("WEIR_USER"));
        login.setProperty("password", System.getenv("WEIR_PASSWORD"));
        try (Connection connection = DriverManager.getConnection(System.getenv("WEIR_JDBC"), login)) {
            DatabaseMetaData metadata = connection.getMetaData();
            TreeSet<String> tables = new TreeSet<>();
            try (ResultSet rows = metadata.getTables(null, "sales", "%", new String[] {"TABLE", "VIEW"})) {
                while (rows.next()) {
                    tables.add(rows.getString("TABLE_NAME"));
                }
            }
            check(tables.contains("customers") && tables.contains("numbers"), tables);
            int columns = 0;
            try (ResultSet rows = metadata.getColumns(null, "sales", "customers", "%")) {
                while (rows.next()) {
                    columns++;
                }
            }
            check(columns == 7, columns);
            try (ResultSet rows = metadata.getPrimaryKeys(null, "sales", "customers")) {
                check(rows.next() && rows.getString("COLUMN_NAME").equals("id"), "primary key");
            }
            try (ResultSet rows = metadata.getSchemas()) {
                check(rows.next(), "schemas");
            }
            try (PreparedStatement statement = connection.prepareStatement(
                    "SELECT name, credit FROM sales.customers WHERE id = ?")) {
                for (int time = 0; time < 10; time++) {
                    statement.setInt(1, 1);
                    try (ResultSet rows = statement.executeQuery()) {
                        check(rows.next() && rows.getString(1).equals("Ada"), "name");
                        check(rows.getBigDecimal(2).compareTo(new BigDecimal("1000.50")) == 0, "credit");
                    }
                }
            }
            connection.setAutoCommit(false);
            int rowsRead = 0;
            try (PreparedStatement statement = connection.prepareStatement(
                    "SELECT id, label FROM sales.numbers LIMIT 100000")) {
                statement.setFetchSize(1000);
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        rowsRead++;
                    }
                }
            }
            check(rowsRead == 100000, rowsRead);
            connection.commit();
            connection.setAutoCommit(true);
            try {
                connection.createStatement().executeUpdate("DELETE FROM sales.customers");
                check(false, "deleted");
            } catch (SQLException error) {
                check("25006".equals(error.getSQLState()), error.getSQLState());
            }
            try (PreparedStatement statement = connection.prepareStatement("SELECT count(nap) FROM sales.naps")) {
                statement.setQueryTimeout(1);
                statement.executeQuery();
                check(false, "not cancelled");
            } catch (SQLException error) {
                check("57014".equals(error.getSQLState()), error.getSQLState());
            }
        }
        System.out.println("ok");
    }
}
