"""graphite-web's development server on a free loopback port."""

import os
import pathlib
import socket
import subprocess

from node import free_ports, request, wait_until

SETTINGS = """
SECRET_KEY = "of a test"
CLUSTER_SERVERS = {cluster}
STORAGE_DIR = LOG_DIR = "{folder}/storage"
WHISPER_DIR = "{whisper}"
INDEX_FILE = "{folder}/storage/index"
STANDARD_DIRS = ["{whisper}"] if {has_files} else []
CARBONLINK_HOSTS = []
MEMCACHE_HOSTS = []
DEFAULT_CACHE_DURATION = 0
FIND_CACHE_DURATION = 0
TAGDB_CACHE_DURATION = 0
ALLOWED_HOSTS = ["*"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/web.db"}}}}
"""


class GraphiteWeb:
    """The process. It reads the nodes of `cluster`, or whisper files: those in `whisper`, or
    in its own folder."""

    def __init__(self, django_admin, folder, cluster=(), whisper=None):
        (self.port,) = free_ports(1)
        folder = pathlib.Path(folder) / "web"
        self.whisper = pathlib.Path(whisper or folder / "storage" / "whisper")
        self.whisper.mkdir(parents=True, exist_ok=True)
        text = SETTINGS.format(
            folder=folder, whisper=self.whisper, cluster=list(cluster), has_files=not cluster
        )
        (folder / "storage").mkdir(parents=True, exist_ok=True)
        (folder / "front_end_settings.py").write_text(text)
        environment = dict(
            os.environ,
            PYTHONPATH=str(folder),
            GRAPHITE_SETTINGS_MODULE="front_end_settings",
            DJANGO_SETTINGS_MODULE="graphite.settings",
            PYTHONWARNINGS="ignore",
        )
        self.log = open(folder / "web.log", "w")
        self.options = {"env": environment, "stdout": self.log, "stderr": self.log}
        subprocess.run([django_admin, "migrate", "--run-syncdb"], check=True, **self.options)
        self.command = [django_admin, "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, **self.options)
        wait_until("graphite-web listens", self.is_up)

    def start_again(self):
        """After a request that it works on for ever."""
        self.process.kill()
        self.process.wait()
        self.start()

    def is_up(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path, body=None):
        """Status and body of a request; a POST when it has a body itself."""
        return request(f"http://127.0.0.1:{self.port}{path}", body)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
