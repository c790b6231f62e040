"""Facts of Square's API that its SDK leaves out, as a table of our own.

Source: Square's OpenAPI document, release 2025-08-20. `test_square_facts` compares the table with
that document where it is available.
"""

from __future__ import annotations

from collections.abc import Mapping

LENGTHS: Mapping[tuple[str, str], tuple[int, int | None]] = {
    ("CancelPaymentByIdempotencyKeyRequest", "idempotency_key"): (1, 45),
    ("CatalogItem", "name"): (0, 512),
    ("CatalogItem", "description"): (0, 4096),
    ("CatalogItem", "abbreviation"): (0, 24),
    ("CatalogItem", "description_html"): (0, 65535),
    ("CatalogItem", "description_plaintext"): (0, 65535),
    ("CatalogItemModifierListInfo", "modifier_list_id"): (1, None),
    ("CatalogModifier", "name"): (0, 255),
    ("CatalogModifierList", "name"): (0, 255),
    ("CatalogModifierList", "internal_name"): (0, 512),
    ("CatalogObject", "id"): (1, None),
    ("CatalogTax", "name"): (0, 255),
    ("CreateOrderRequest", "idempotency_key"): (0, 192),
    ("CreatePaymentRequest", "source_id"): (1, None),
    ("CreatePaymentRequest", "idempotency_key"): (1, 45),
    ("CreatePaymentRequest", "reference_id"): (0, 40),
    ("CreatePaymentRequest", "buyer_email_address"): (0, 255),
    ("CreatePaymentRequest", "note"): (0, 500),
    ("CreatePaymentRequest", "statement_description_identifier"): (0, 20),
    ("ExternalPaymentDetails", "type"): (0, 50),
    ("ExternalPaymentDetails", "source"): (0, 255),
    ("ExternalPaymentDetails", "source_id"): (0, 255),
    ("Fulfillment", "uid"): (0, 60),
    ("FulfillmentDeliveryDetails", "note"): (0, 550),
    ("FulfillmentDeliveryDetails", "cancel_reason"): (0, 100),
    ("FulfillmentDeliveryDetails", "dropoff_notes"): (0, 550),
    ("FulfillmentDeliveryDetails", "courier_provider_name"): (0, 255),
    ("FulfillmentDeliveryDetails", "courier_support_phone_number"): (0, 17),
    ("FulfillmentDeliveryDetails", "square_delivery_id"): (0, 50),
    ("FulfillmentDeliveryDetails", "external_delivery_id"): (0, 50),
    ("FulfillmentPickupDetails", "note"): (0, 500),
    ("FulfillmentPickupDetails", "cancel_reason"): (0, 100),
    ("FulfillmentRecipient", "customer_id"): (0, 191),
    ("FulfillmentRecipient", "display_name"): (0, 255),
    ("FulfillmentRecipient", "email_address"): (0, 255),
    ("FulfillmentRecipient", "phone_number"): (0, 17),
    ("Location", "id"): (0, 32),
    ("Location", "name"): (0, 255),
    ("Location", "timezone"): (0, 30),
    ("Location", "created_at"): (20, 25),
    ("Location", "merchant_id"): (0, 32),
    ("Location", "language_code"): (2, 5),
    ("Location", "phone_number"): (0, 17),
    ("Location", "business_name"): (0, 255),
    ("Location", "website_url"): (0, 255),
    ("Location", "business_email"): (0, 255),
    ("Location", "description"): (0, 1024),
    ("Location", "twitter_username"): (1, 15),
    ("Location", "instagram_username"): (1, 30),
    ("Location", "facebook_url"): (0, 255),
    ("Location", "logo_url"): (0, 255),
    ("Location", "pos_background_url"): (0, 255),
    ("Location", "mcc"): (4, 4),
    ("ObtainTokenRequest", "client_id"): (0, 191),
    ("ObtainTokenRequest", "client_secret"): (2, 1024),
    ("ObtainTokenRequest", "code"): (0, 191),
    ("ObtainTokenRequest", "redirect_uri"): (0, 2048),
    ("ObtainTokenRequest", "grant_type"): (10, 20),
    ("ObtainTokenRequest", "refresh_token"): (2, 1024),
    ("ObtainTokenRequest", "migration_token"): (2, 1024),
    ("ObtainTokenResponse", "access_token"): (2, 1024),
    ("ObtainTokenResponse", "token_type"): (2, 10),
    ("ObtainTokenResponse", "expires_at"): (20, 48),
    ("ObtainTokenResponse", "merchant_id"): (8, 191),
    ("ObtainTokenResponse", "refresh_token"): (2, 1024),
    ("ObtainTokenResponse", "refresh_token_expires_at"): (20, 48),
    ("Order", "location_id"): (1, None),
    ("Order", "reference_id"): (0, 40),
    ("Order", "customer_id"): (0, 191),
    ("Order", "ticket_name"): (0, 30),
    ("OrderLineItem", "uid"): (0, 60),
    ("OrderLineItem", "name"): (0, 512),
    ("OrderLineItem", "quantity"): (1, 12),
    ("OrderLineItem", "note"): (0, 2000),
    ("OrderLineItem", "catalog_object_id"): (0, 192),
    ("OrderLineItem", "variation_name"): (0, 400),
    ("OrderLineItemAppliedDiscount", "uid"): (0, 60),
    ("OrderLineItemAppliedDiscount", "discount_uid"): (1, 60),
    ("OrderLineItemAppliedServiceCharge", "uid"): (0, 60),
    ("OrderLineItemAppliedServiceCharge", "service_charge_uid"): (1, 60),
    ("OrderLineItemAppliedTax", "uid"): (0, 60),
    ("OrderLineItemAppliedTax", "tax_uid"): (1, 60),
    ("OrderLineItemDiscount", "uid"): (0, 60),
    ("OrderLineItemDiscount", "catalog_object_id"): (0, 192),
    ("OrderLineItemDiscount", "name"): (0, 255),
    ("OrderLineItemDiscount", "percentage"): (0, 10),
    ("OrderLineItemModifier", "uid"): (0, 60),
    ("OrderLineItemModifier", "catalog_object_id"): (0, 192),
    ("OrderLineItemModifier", "name"): (0, 255),
    ("OrderLineItemTax", "uid"): (0, 60),
    ("OrderLineItemTax", "catalog_object_id"): (0, 192),
    ("OrderLineItemTax", "name"): (0, 255),
    ("OrderLineItemTax", "percentage"): (0, 10),
    ("OrderServiceCharge", "uid"): (0, 60),
    ("OrderServiceCharge", "name"): (0, 512),
    ("OrderServiceCharge", "catalog_object_id"): (0, 192),
    ("OrderServiceCharge", "percentage"): (0, 10),
    ("PayOrderRequest", "idempotency_key"): (1, 192),
    ("Payment", "id"): (0, 192),
    ("Payment", "created_at"): (0, 32),
    ("Payment", "updated_at"): (0, 32),
    ("Payment", "status"): (0, 50),
    ("Payment", "source_type"): (0, 50),
    ("Payment", "location_id"): (0, 50),
    ("Payment", "order_id"): (0, 192),
    ("Payment", "reference_id"): (0, 40),
    ("Payment", "customer_id"): (0, 191),
    ("Payment", "employee_id"): (0, 192),
    ("Payment", "team_member_id"): (0, 192),
    ("Payment", "buyer_email_address"): (0, 255),
    ("Payment", "note"): (0, 500),
    ("Payment", "receipt_number"): (0, 4),
    ("Payment", "receipt_url"): (0, 255),
    ("RetrieveTokenStatusResponse", "client_id"): (0, 191),
    ("RetrieveTokenStatusResponse", "merchant_id"): (8, 191),
    ("RevokeTokenRequest", "client_id"): (0, 191),
    ("RevokeTokenRequest", "access_token"): (2, 1024),
    ("Tender", "id"): (0, 192),
    ("Tender", "location_id"): (0, 50),
    ("Tender", "transaction_id"): (0, 192),
    ("Tender", "created_at"): (0, 32),
    ("Tender", "note"): (0, 500),
    ("Tender", "customer_id"): (0, 191),
    ("Tender", "payment_id"): (0, 192),
    ("UpdateOrderRequest", "idempotency_key"): (0, 192),
}
"""The least and the greatest length of a text, by its object and field. None: no limit."""

ERROR_CODES = frozenset(
    """
    INTERNAL_SERVER_ERROR UNAUTHORIZED ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_REVOKED CLIENT_DISABLED
    FORBIDDEN INSUFFICIENT_SCOPES APPLICATION_DISABLED V1_APPLICATION V1_ACCESS_TOKEN
    CARD_PROCESSING_NOT_ENABLED MERCHANT_SUBSCRIPTION_NOT_FOUND BAD_REQUEST
    MISSING_REQUIRED_PARAMETER INCORRECT_TYPE INVALID_TIME INVALID_TIME_RANGE INVALID_VALUE
    INVALID_CURSOR UNKNOWN_QUERY_PARAMETER CONFLICTING_PARAMETERS EXPECTED_JSON_BODY
    INVALID_SORT_ORDER VALUE_REGEX_MISMATCH VALUE_TOO_SHORT VALUE_TOO_LONG VALUE_TOO_LOW
    VALUE_TOO_HIGH VALUE_EMPTY ARRAY_LENGTH_TOO_LONG ARRAY_LENGTH_TOO_SHORT ARRAY_EMPTY
    EXPECTED_BOOLEAN EXPECTED_INTEGER EXPECTED_FLOAT EXPECTED_STRING EXPECTED_OBJECT
    EXPECTED_ARRAY EXPECTED_MAP EXPECTED_BASE64_ENCODED_BYTE_ARRAY INVALID_ARRAY_VALUE
    INVALID_ENUM_VALUE INVALID_CONTENT_TYPE INVALID_FORM_VALUE CUSTOMER_NOT_FOUND
    ONE_INSTRUMENT_EXPECTED NO_FIELDS_SET TOO_MANY_MAP_ENTRIES MAP_KEY_LENGTH_TOO_SHORT
    MAP_KEY_LENGTH_TOO_LONG CUSTOMER_MISSING_NAME CUSTOMER_MISSING_EMAIL INVALID_PAUSE_LENGTH
    INVALID_DATE UNSUPPORTED_COUNTRY UNSUPPORTED_CURRENCY APPLE_TTP_PIN_TOKEN CARD_EXPIRED
    INVALID_EXPIRATION INVALID_EXPIRATION_YEAR INVALID_EXPIRATION_DATE UNSUPPORTED_CARD_BRAND
    UNSUPPORTED_ENTRY_METHOD INVALID_ENCRYPTED_CARD INVALID_CARD PAYMENT_AMOUNT_MISMATCH
    GENERIC_DECLINE CVV_FAILURE ADDRESS_VERIFICATION_FAILURE INVALID_ACCOUNT CURRENCY_MISMATCH
    INSUFFICIENT_FUNDS INSUFFICIENT_PERMISSIONS CARDHOLDER_INSUFFICIENT_PERMISSIONS
    INVALID_LOCATION TRANSACTION_LIMIT VOICE_FAILURE PAN_FAILURE EXPIRATION_FAILURE
    CARD_NOT_SUPPORTED READER_DECLINED INVALID_PIN MISSING_PIN MISSING_ACCOUNT_TYPE
    INVALID_POSTAL_CODE INVALID_FEES MANUALLY_ENTERED_PAYMENT_NOT_SUPPORTED PAYMENT_LIMIT_EXCEEDED
    GIFT_CARD_AVAILABLE_AMOUNT ACCOUNT_UNUSABLE BUYER_REFUSED_PAYMENT DELAYED_TRANSACTION_EXPIRED
    DELAYED_TRANSACTION_CANCELED DELAYED_TRANSACTION_CAPTURED DELAYED_TRANSACTION_FAILED
    CARD_TOKEN_EXPIRED CARD_TOKEN_USED AMOUNT_TOO_HIGH UNSUPPORTED_INSTRUMENT_TYPE
    REFUND_AMOUNT_INVALID REFUND_ALREADY_PENDING PAYMENT_NOT_REFUNDABLE
    PAYMENT_NOT_REFUNDABLE_DUE_TO_DISPUTE REFUND_ERROR_PAYMENT_NEEDS_COMPLETION REFUND_DECLINED
    INSUFFICIENT_PERMISSIONS_FOR_REFUND INVALID_CARD_DATA SOURCE_USED SOURCE_EXPIRED
    UNSUPPORTED_LOYALTY_REWARD_TIER LOCATION_MISMATCH ORDER_UNPAID_NOT_RETURNABLE
    IDEMPOTENCY_KEY_REUSED UNEXPECTED_VALUE SANDBOX_NOT_SUPPORTED INVALID_EMAIL_ADDRESS
    INVALID_PHONE_NUMBER CHECKOUT_EXPIRED BAD_CERTIFICATE INVALID_SQUARE_VERSION_FORMAT
    API_VERSION_INCOMPATIBLE CARD_PRESENCE_REQUIRED UNSUPPORTED_SOURCE_TYPE CARD_MISMATCH
    PLAID_ERROR PLAID_ERROR_ITEM_LOGIN_REQUIRED PLAID_ERROR_RATE_LIMIT CARD_DECLINED
    VERIFY_CVV_FAILURE VERIFY_AVS_FAILURE CARD_DECLINED_CALL_ISSUER
    CARD_DECLINED_VERIFICATION_REQUIRED BAD_EXPIRATION CHIP_INSERTION_REQUIRED
    ALLOWABLE_PIN_TRIES_EXCEEDED RESERVATION_DECLINED UNKNOWN_BODY_PARAMETER NOT_FOUND
    APPLE_PAYMENT_PROCESSING_CERTIFICATE_HASH_NOT_FOUND METHOD_NOT_ALLOWED NOT_ACCEPTABLE
    REQUEST_TIMEOUT CONFLICT GONE REQUEST_ENTITY_TOO_LARGE UNSUPPORTED_MEDIA_TYPE
    UNPROCESSABLE_ENTITY RATE_LIMITED NOT_IMPLEMENTED BAD_GATEWAY SERVICE_UNAVAILABLE
    TEMPORARY_ERROR GATEWAY_TIMEOUT
    """.split()
)
"""The values of `ErrorCode` in that release. The SDK lists these and later ones."""

PAYMENT_ERROR_CODES = frozenset(
    """
    ADDRESS_VERIFICATION_FAILURE ALLOWABLE_PIN_TRIES_EXCEEDED APPLE_TTP_PIN_TOKEN BAD_EXPIRATION
    CARDHOLDER_INSUFFICIENT_PERMISSIONS CARD_DECLINED_VERIFICATION_REQUIRED CARD_EXPIRED
    CARD_NOT_SUPPORTED CARD_PROCESSING_NOT_ENABLED CARD_TOKEN_EXPIRED CARD_TOKEN_USED
    CHIP_INSERTION_REQUIRED CVV_FAILURE EXPIRATION_FAILURE GENERIC_DECLINE
    GIFT_CARD_AVAILABLE_AMOUNT INSUFFICIENT_FUNDS INSUFFICIENT_PERMISSIONS INVALID_ACCOUNT
    INVALID_CARD INVALID_CARD_DATA INVALID_EMAIL_ADDRESS INVALID_EXPIRATION INVALID_FEES
    INVALID_LOCATION INVALID_PHONE_NUMBER INVALID_PIN INVALID_POSTAL_CODE ISSUER_INSTALLMENT_ERROR
    MANUALLY_ENTERED_PAYMENT_NOT_SUPPORTED PAN_FAILURE PAYMENT_AMOUNT_MISMATCH
    PAYMENT_LIMIT_EXCEEDED TEMPORARY_ERROR TRANSACTION_LIMIT VOICE_FAILURE
    """.split()
)
"""The codes that the document lists for CreatePayment."""

SEEN_CODES = frozenset({"VERSION_MISMATCH"})
"""Codes that Square sends and lists nowhere (developer forum, thread 13601)."""
