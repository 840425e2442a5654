"""Steps of a client, each judged right or wrong."""

import os
import traceback

DSN = os.environ["WEIR_DSN"]
HOST, PORT = "127.0.0.1", os.environ["WEIR_PORT"]
USER, PASSWORD, DATABASE = os.environ["WEIR_USER"], os.environ["WEIR_PASSWORD"], os.environ["WEIR_DATABASE"]

_right, _wrong = [], []


def step(name):
    """Runs the function at once; one that raises is a wrong step."""

    def run(function):
        try:
            function()
            _right.append(name)
        except Exception:
            _wrong.append(name)
            print(f"WRONG {name}\n{traceback.format_exc(limit=3)}")
        return function

    return run


def end():
    """The last line is read by the test."""
    print(f"steps {len(_right)} {len(_right) + len(_wrong)}")


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"
