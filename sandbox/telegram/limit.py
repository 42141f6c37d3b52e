"""The sizes and lengths that Telegram allows."""

TEXT_LENGTH = 4096
CAPTION_LENGTH = 1024
ANSWER_LENGTH = 200
CALLBACK_DATA_BYTES = 64
BUTTON_COUNT = 100
ALBUM_SIZE = 10
COMMAND_COUNT = 100

PHOTO_LINK_BYTES = 5 * 1024 * 1024
FILE_LINK_BYTES = 20 * 1024 * 1024
PHOTO_UPLOAD_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024
DOWNLOAD_BYTES = 20 * 1024 * 1024
"""What `getFile` hands out at most."""

REQUEST_BYTES = UPLOAD_BYTES + 1024 * 1024
"""What a whole call may weigh: one file and the fields around it."""

THUMBNAIL_BYTES = 200 * 1024
THUMBNAIL_SIDE = 320
"""The size of a preview that a bot sends along; a larger one is ignored."""

PHOTO_SIDES_SUM = 10_000
PHOTO_RATIO = 20
PHOTO_SIDES = (90, 320, 800, 1280, 2560)
"""The longer sides of the copies that Telegram makes of a photo."""

POLL_TIMEOUT_S = 50
POLL_LIMIT = 100

INVOICE_TITLE_LENGTH = 32
INVOICE_DESCRIPTION_LENGTH = 255
INVOICE_PAYLOAD_BYTES = 128
INVOICE_STARS = 10_000
CURRENCY_AMOUNT = 9999_9999_9999
"""What an amount in any currency may come to."""

TRANSACTION_LIMIT = 100
