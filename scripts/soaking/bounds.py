"""What several files go by: the mirror's key and workers, and how long things may take."""

KEY = "soak"
KEY_HEADER = "X-MIRROR-API-KEY"
WORKERS = 8

REQUEST_TIMEOUT_MS = 5_000
# So much longer than its requestTimeout a request may take.
SLACK_S = 0.5
# A client waits longer than any bound, so that what is late can be told from what never comes.
PATIENCE_S = 40.0
