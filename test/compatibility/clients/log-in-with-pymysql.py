"""One login for each line on stdin; how it went as a line on stdout. Both are JSON, see client.ts."""

import json
import ssl
import sys

import pymysql


def log_in(attempt):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    connection = pymysql.connect(
        host=attempt["host"],
        port=attempt["port"],
        user=attempt["user"],
        password=attempt["password"],
        ssl=tls if attempt["tls"] else None,
        ssl_disabled=not attempt["tls"],
        connect_timeout=10,
        read_timeout=10,
    )
    try:
        cursor = connection.cursor()
        facts = {}
        for statement in attempt["statements"]:
            cursor.execute(statement)
            for name, value in cursor.fetchall():
                facts[name] = str(value)
        return {"kind": "in", "facts": facts}
    finally:
        connection.close()


for line in sys.stdin:
    try:
        answer = log_in(json.loads(line))
    except Exception as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else type(error).__name__
        text = error.args[1] if len(error.args) > 1 else str(error)
        answer = {"kind": "refused", "error": f"{number} {text}"}
    print(json.dumps(answer), flush=True)
