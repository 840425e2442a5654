"""pyarrow.flight without a SQL driver: the login, a wrong one, and a stream of two million rows."""

import os

import pyarrow.flight as flight

client = flight.connect(os.environ["WEIR_FLIGHT"])
try:
    client.authenticate_basic_token(os.environ["WEIR_USER"], "wrong")
    raise SystemExit("a wrong password passed")
except flight.FlightUnauthenticatedError:
    pass
header = client.authenticate_basic_token(os.environ["WEIR_USER"], os.environ["WEIR_PASSWORD"])
options = flight.FlightCallOptions(headers=[header])


def command(sql):
    """CommandStatementQuery of Flight SQL inside google.protobuf.Any, by hand."""
    def field(number, data):
        size, length = len(data), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return flight.FlightDescriptor.for_command(field(1, url) + field(2, field(1, sql.encode())))


info = client.get_flight_info(command("SELECT id, label, bucket FROM sales.public.numbers"), options)
rows = 0
for endpoint in info.endpoints:
    for chunk in client.do_get(endpoint.ticket, options):
        rows += chunk.data.num_rows
assert rows == 2000000, rows
ticket = info.endpoints[0].ticket
try:
    list(client.do_get(ticket))
    raise SystemExit("a ticket without its owner passed")
except flight.FlightUnauthenticatedError:
    pass
print("ok")
