"""What several files go by: the mirror's key and workers, and how long things may take."""

KEY = "soak"
KEY_HEADER = "X-MIRROR-API-KEY"
# Its default.
WORKERS = 20

REQUEST_TIMEOUT_MS = 5_000
# So much longer than its requestTimeout a request may take.
SLACK_S = 0.5
# A client waits longer than any bound, so that what is late can be told from what never comes.
PATIENCE_S = 40.0

# The memory limit of the chart, in KiB.
MOST_MEMORY_KIB = 512 * 1024
# The mirror's own threads, and one for each connection of the clients, of which there are some 200 at most.
MOST_THREADS = WORKERS + 26 + 250
# Two a connection of the clients, and two a worker to each of a dozen upstreams.
MOST_DESCRIPTORS = 2 * 250 + 2 * WORKERS * 12
