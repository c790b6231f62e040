"""A POS that serves Tillpost's generic format, by the page beside it. Standard library only: python server.py 8000"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

TOKEN, SECRET = "not-a-real-token", b"not-a-real-signing-key"
MENU = json.loads(Path(__file__).with_name("menu.json").read_text())
PRICES = {x["id"]: x["price"] for y in MENU["items"] + MENU["groups"] for x in y.get("variations") or y["options"]}
ORDERS, KEYS = {}, {}  # a real POS keeps both in its database, and writes both in one transaction


class Problem(Exception):
    """A refusal: the HTTP status, the kind, and what else there is to say."""


def make(new):
    order, keep, gone = new["order"], new["keep_paid"], []
    if any(o["reference"] == order["id"] and o["state"] != "cancelled" for o in ORDERS.values()):
        raise Problem(409, "DoubtError", {"detail": "that reference is there, under another key"})
    total = order["tip"] + sum(c["amount"] for c in order["charges"]) - sum(d["amount"] for d in order["discounts"])
    for number, line in enumerate(order["lines"]):
        things = [(line["item_id"], line["unit_price"], 1)]
        things += [(m["modifier_id"], m["unit_price"], m["quantity"]) for m in line["modifiers"]]
        gone += [number for thing, _, _ in things if thing not in PRICES]
        total += line["quantity"] * sum((paid if keep else PRICES.get(thing, 0)) * n for thing, paid, n in things)
    if gone:
        raise Problem(422, "MenuError", {"lines": gone, "reason": "gone", "detail": "not on the menu"})
    if total != new["expected_total"]:
        raise Problem(422, "TaxError" if order["tax"] else "MenuError", {"reason": "price", "detail": f"it is {total}"})
    made = {"id": f"P{len(ORDERS) + 1}", "reference": order["id"], "total": total, "state": "received"}
    return ORDERS.setdefault(made["id"], made)


class Pos(BaseHTTPRequestHandler):
    def do_POST(self):
        body, key = self.rfile.read(int(self.headers["Content-Length"] or 0)), self.headers["Idempotency-Key"] or ""
        try:
            status, answer = 200, self.answer(key, body)
        except Problem as problem:
            status, answer = problem.args[0], {"kind": problem.args[1], **problem.args[2]}
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_POST  # noqa: N815

    def answer(self, key, body):
        sent_at, sum_of_body = self.headers["Tillpost-Timestamp"] or "0", hashlib.sha256(body).hexdigest()
        text = "\n".join((sent_at, self.command, self.path, key, sum_of_body)).encode()
        wanted = f"Bearer {TOKEN} {hmac.new(SECRET, text, hashlib.sha256).hexdigest()}"
        given = f"{self.headers['Authorization']} {self.headers['Tillpost-Signature']}"
        if not hmac.compare_digest(given.encode(), wanted.encode()) or abs(time.time() - int(sent_at)) >= 300:
            raise Problem(401, "PermissionsError", {"detail": "the credential, the time or the signature is wrong"})
        path, _, query = self.path.partition("?")
        match self.command, path.strip("/").split("/"):
            case "POST", ["orders"]:
                known, made = KEYS.get(key) or KEYS.setdefault(key, (body, make(json.loads(body))))
                if known == body:
                    return made
                raise Problem(409, "DoubtError", {"detail": "the key was used for another body"})
            case "GET", ["orders"]:
                return [o for o in ORDERS.values() if o["reference"] == parse_qs(query)["reference"][0]]
            case _, ["orders", pos_id, *cancel] if pos_id in ORDERS:
                ORDERS[pos_id] |= {"state": "cancelled"} if cancel else {}
                return ORDERS[pos_id]
            case "GET", ["menu"]:
                return MENU | {"imported_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            case "GET", ["health"]:
                return {"store_open": True, "register_online": True}
        raise Problem(404, "OrderError", {"detail": "there is no such order"})


HTTPServer(("127.0.0.1", int(sys.argv[1])), Pos).serve_forever()
