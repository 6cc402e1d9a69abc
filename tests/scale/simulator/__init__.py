"""A model of many clients, services, replicas and regions. Nothing here opens a socket or reads a clock."""
