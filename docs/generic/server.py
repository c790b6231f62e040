"""A POS that serves Tillpost's generic format, as the page beside it describes.

It needs the standard library only. Run `python server.py 8000`.
"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

TOKEN = "not-a-real-token"
SECRET = b"not-a-real-signing-key"
MENU = json.loads(Path(__file__).with_name("menu.json").read_text())

VARIATIONS = [variation for item in MENU["items"] for variation in item["variations"]]
OPTIONS = [option for group in MENU["groups"] for option in group["options"]]
HEALTH = {"store_open": True, "register_online": True}
PRICES = {thing["id"]: thing["price"] for thing in VARIATIONS + OPTIONS}

# A real POS keeps both in its database, and writes both in one transaction.
ORDERS = {}
KEYS = {}


class Problem(Exception):
    """A refusal: the HTTP status, the kind, and further fields."""


def create(request):
    """Create an order, or raise a Problem."""
    order = request["order"]
    for known in ORDERS.values():
        if known["reference"] == order["id"] and known["state"] != "cancelled":
            raise Problem(409, "DoubtError", {"detail": "the reference was used"})
    if order["currency"] != MENU["currency"]:
        raise Problem(422, "OrderError", {"reason": "currency"})
    if not order["prices_include_tax"]:
        detail = "prices_include_tax: the prices here include tax"
        raise Problem(422, "OrderError", {"reason": "tax_terms", "detail": detail})
    total = total_of(order, keep_paid=request["keep_paid"])
    if total != request["expected_total"]:
        raise Problem(422, "MenuError", {"reason": "price", "detail": f"it is {total}"})
    pos_id = f"P{len(ORDERS) + 1}"
    made = {"id": pos_id, "reference": order["id"], "total": total, "state": "received"}
    ORDERS[pos_id] = made
    return made


def total_of(order, keep_paid):
    """Return the order's total. Raise a Problem for lines that aren't on the menu."""
    total = order["tip"] - discount_on(order)
    for charge in order["charges"]:
        total += charge["amount"] - discount_on(charge)
    gone = []
    for number, line in enumerate(order["lines"]):
        try:
            for_one = price_of(line["item_id"], line, keep_paid)
        except KeyError:
            gone.append(number)
            continue
        total += line["quantity"] * for_one - discount_on(line)
    if gone:
        raise Problem(422, "MenuError", {"lines": gone, "reason": "gone"})
    return total


def price_of(menu_id, part, keep_paid):
    """Return the price of one piece with its choices. An open item has no id."""
    price = part["unit_price"]
    if menu_id and PRICES[menu_id] is not None and not keep_paid:
        price = PRICES[menu_id]
    for choice in part.get("modifiers", ()):
        price += choice["quantity"] * price_of(choice["modifier_id"], choice, keep_paid)
    return price


def discount_on(part):
    """Return what is taken off an order, a line or a charge."""
    return sum(discount["amount"] for discount in part.get("discounts", ()))


class Pos(BaseHTTPRequestHandler):
    """The six addresses."""

    def do_GET(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def respond(self):
        """Answer the request with JSON."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        key = self.headers["Idempotency-Key"] or ""
        try:
            self.authenticate(key, body)
            self.send(200, "application/json", self.answer(key, body))
        except Problem as problem:
            status, kind, fields = problem.args
            self.send(status, "application/problem+json", {"kind": kind, **fields})

    def send(self, status, content_type, answer):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def authenticate(self, key, body):
        """Raise a Problem unless token, signature and time are right."""
        sent_at = self.headers["Tillpost-Timestamp"] or "0"
        digest = hashlib.sha256(body).hexdigest()
        text = "\n".join((sent_at, self.command, self.path, key, digest)).encode()
        signature = hmac.new(SECRET, text, hashlib.sha256).hexdigest()
        wanted = f"Bearer {TOKEN} {signature}"
        given = f"{self.headers['Authorization']} {self.headers['Tillpost-Signature']}"
        is_genuine = hmac.compare_digest(given.encode(), wanted.encode())
        is_recent = abs(time.time() - int(sent_at)) < 300
        if not (is_genuine and is_recent):
            detail = "the credential, the time or the signature is wrong"
            raise Problem(401, "PermissionsError", {"detail": detail})

    def answer(self, key, body):
        """Return the answer to an authenticated request."""
        path, _, query = self.path.partition("?")
        match self.command, path.strip("/").split("/"):
            case "POST", ["orders"]:
                return self.create_once(key, body)
            case "GET", ["orders"]:
                reference = parse_qs(query)["reference"][0]
                return [one for one in ORDERS.values() if one["reference"] == reference]
            case "POST", ["orders", pos_id, "cancel"] if pos_id in ORDERS:
                ORDERS[pos_id]["state"] = "cancelled"
                return ORDERS[pos_id]
            case "GET", ["orders", pos_id] if pos_id in ORDERS:
                return ORDERS[pos_id]
            case "GET", ["menu"]:
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                return {**MENU, "imported_at": now}
            case "GET", ["health"]:
                return {**HEALTH, "currency": MENU["currency"]}
        raise Problem(404, "OrderError", {"detail": "there is no such order"})

    def create_once(self, key, body):
        """Create the order, or repeat the answer that the key had before."""
        if key not in KEYS:
            KEYS[key] = (body, create(json.loads(body)))
        known_body, order = KEYS[key]
        if known_body != body:
            detail = "the key was used for another body"
            raise Problem(409, "DoubtError", {"detail": detail})
        return order


HTTPServer(("127.0.0.1", int(sys.argv[1])), Pos).serve_forever()
