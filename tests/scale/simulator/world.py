"""What is simulated: how many of everything, and the settings that count."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """Times are seconds. The defaults of settings are those of docs/reference/settings.md."""

    clients: int = 1_000_000
    services: int = 10_000
    replicas: int = 50
    regions: int = 5
    cores: int = 2               # of each replica
    edges: int = 4               # caches of the CDN in each region
    apis: int = 200              # with a bundle each; the services of an API share it
    listed: int = 10_000         # clients whose tokens point to a status list
    lists: int = 20              # lists that a service follows
    token_ttl: float = 3600.0    # tokens.ttl
    margin: float = 60.0         # how long before its end a client replaces a token
    cron_spread: float = 1.0     # mean time from :00 until a job asks
    jitter: float = 300.0        # over which time clients with jitter spread their fetches
    poll: float = 2.0            # policies.poll
    settle: float = 0.5          # how long a folder must hold still
    reload: float = 0.0          # how long a replica reads and compiles an edit; 0: as costs.toml says
    sync: float = 10.0           # how often a region brings the folders up to date (0: one folder for all)
    bundle_ttl: int = 60         # policies.bundle_ttl
    list_ttl: int = 60           # tokens.status_list_ttl
    keys_max_age: int = 300      # min(keys.publish_ahead / 2, 5 minutes)
    publish_ahead: float = 3600.0
    latency: float = 0.03        # of one fetch of a document, at most
    hours: float = 1.0           # of following that is counted
    edits: int = 6               # revocations in that time, and as many rotations

    def __post_init__(self):
        if self.replicas % self.regions or self.services % self.regions:
            raise ValueError("replicas and services must be spread evenly over the regions")
        if min(self.clients, self.services, self.replicas, self.regions, self.cores, self.apis, self.lists, self.edits) < 1:
            raise ValueError("there must be at least one of everything")
        if self.lists > self.listed:
            raise ValueError("a service cannot follow more lists than there are")

    @property
    def replicas_of_region(self):
        return self.replicas // self.regions

    @property
    def services_of_region(self):
        return self.services // self.regions
