"""An API server: storage, discovery and the verbs of the Kubernetes API, for real kubectl, Helm and clients.

    python3 -m lab.cluster.api --directory DIR --kubeconfig FILE [--listen 127.0.0.1:0] ...

See `--help` for the flags, interfaces.py for what it asks of `lab.cluster.access`. A request goes through
http.py, server.py and then reading.py, writing.py or removal.py to storage.py; collector.py,
definitions.py and expiry.py are threads that act upon what is stored.

Tests may turn some screws, as whoever may POST and PUT these paths:

    POST /debug/compact                         forgets the history: older resourceVersions are 410
    PUT  /debug/streaming-lists?enabled=false   sendInitialEvents is refused with 422 from now on
    POST /debug/load                            stores complete objects, one in JSON a line, without admission

What it does not have: HTTP/2, answers in protobuf, validation rules in CEL, conversion webhooks,
admission policies, priority and fairness; of built-in kinds it checks what users and injectors get
wrong, not everything.
"""
