"""X Protocol as applications speak it: MySQL's own connector, told what to do by its arguments, answering in JSON lines.

client.py once PORT SSL SQL…        one session: a line with the rows of each statement
client.py documents PORT            a collection made, filled, searched and dropped
client.py work PORT STOP-FILE       one statement after the other until the file exists; reconnects when a session is lost
client.py idle PORT GO-FILE         logs in, says so, and asks once more when the file exists
"""

import json
import os
import sys
import time

import mysqlx


# The connector tells of a connection that was closed in any of these.
LOST = (mysqlx.Error, OSError, RuntimeError)


def tell(**facts):
    print(json.dumps(facts), flush=True)


def log_in(port, ssl="required"):
    return mysqlx.get_session(
        {
            "host": "127.0.0.1",
            "port": int(port),
            "user": "root",
            "password": os.environ.get("X_PASSWORD", "sakila"),
            "ssl-mode": ssl,
            "connect-timeout": 60_000,
            # Its zstd does not read the server's with the Python that Debian has it run on.
            "compression": "required" if ssl == "disabled" else "disabled",
            "compression-algorithms": ["deflate_stream"],
        }
    )


def rows_of(session, sql):
    result = session.sql(sql).execute()
    return [list(row) for row in result.fetch_all()] if result.has_data() else []


def once(port, ssl, *statements):
    session = log_in(port, ssl)
    for sql in statements:
        try:
            tell(rows=rows_of(session, sql))
        except mysqlx.Error as error:
            tell(errno=error.errno, message=error.msg)
    session.close()


def documents(port):
    session = log_in(port)
    schema = session.get_schema("app")
    people = schema.create_collection("people")
    people.add({"_id": "1", "name": "Ada"}, {"_id": "2", "name": "Grace"}).execute()
    found = people.find("name like 'G%'").execute().fetch_all()
    long = "y" * 5_000_000
    tell(found=[document["name"] for document in found], sent=int(rows_of(session, f"SELECT LENGTH('{long}')")[0][0]))
    schema.drop_collection("people")
    session.close()


def work(port, stop_file):
    session = None
    while not os.path.exists(stop_file):
        started = time.monotonic()
        facts = {}
        try:
            if session is None:
                session = log_in(port)
                facts["connected"] = True
            rows = rows_of(session, "SELECT @@port")
            rows_of(session, "INSERT INTO app.x VALUES ()")
            facts["server"] = rows[0][0]
        except LOST as error:
            facts["errno"] = getattr(error, "errno", None)
            facts["message"] = str(error)
            session = None
        tell(ms=(time.monotonic() - started) * 1000, **facts)
        time.sleep(0.02)
    tell(stopped=True)


def idle(port, go_file):
    session = log_in(port)
    tell(rows=rows_of(session, "SELECT 1"))
    while not os.path.exists(go_file):
        time.sleep(0.02)
    try:
        tell(rows=rows_of(session, "SELECT 2"))
    except LOST as error:
        tell(lost=str(error))


try:
    {"once": once, "documents": documents, "work": work, "idle": idle}[sys.argv[1]](*sys.argv[2:])
except mysqlx.Error as error:
    tell(errno=error.errno, message=error.msg)
