"""Constants of several files: the key and the workers of the mirror, and the bounds."""

KEY = "soak"
KEY_HEADER = "X-MIRROR-API-KEY"
# The default of --workers.
WORKERS = 20

REQUEST_TIMEOUT_MS = 5_000
# How much longer than its requestTimeout a request may take.
SLACK_S = 0.5
# A client waits longer than all bounds, to distinguish a late response from none.
PATIENCE_S = 40.0

# The memory limit of the chart, in KiB.
MAX_MEMORY_KIB = 512 * 1024
# The mirror's own threads, and one for each connection of the clients, of which there are about 200.
MAX_THREADS = WORKERS + 26 + 250
# Two for each connection of the clients, and two for each worker to each of a dozen upstreams.
MAX_DESCRIPTORS = 2 * 250 + 2 * WORKERS * 12
