"""Pushing to a hub: a stand-in server on this machine that speaks as much of its protocol as an upload needs."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

import ppo_cli
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.records.exports import ExportOptions
from tests.terminal import succeed

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of httpx, in the hub's client

TOKEN = "hf_" + "t" * 24


class Hub(ThreadingHTTPServer):
    """Repositories with their files; large ones come by LFS, small ones inside the commit."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.repos, self.private, self.blobs, self.messages = {}, {}, {}, []
        self.refuse = None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def allowed(self):
        return self.server.refuse is None and self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_GET(self):
        found = re.fullmatch(r"/api/models/([^/]+/[^/?]+)(?:\?.*)?", self.path)
        repo = found[1] if found else ""
        if not self.allowed() or repo not in self.server.repos:
            self.reply({"error": "no"}, self.server.refuse or 404)
        else:
            self.reply({"id": repo, "private": self.server.private[repo], "sha": "1" * 40})

    def do_PUT(self):
        self.server.blobs[self.path.rpartition("/")[2]] = self.body()
        self.reply({})

    def do_POST(self):
        server, content = self.server, self.body()
        if self.path == "/api/validate-yaml":
            self.reply({"errors": [], "warnings": []})
        elif not self.allowed():
            self.reply({"error": "no"}, server.refuse or 401)
        elif self.path == "/api/repos/create":
            asked = json.loads(content)
            repo = f"{asked['organization']}/{asked['name']}"
            exists = repo in server.repos
            server.repos.setdefault(repo, {})
            server.private.setdefault(repo, asked.get("visibility") == "private" or asked.get("private") is True)
            self.reply({"url": f"{server.address}/{repo}"}, 409 if exists else 200)
        elif "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(content)["files"]]
            self.reply(
                {
                    "files": [
                        {
                            "path": path,
                            "uploadMode": "lfs" if path.endswith(".safetensors") else "regular",
                            "shouldIgnore": False,
                        }
                        for path in files
                    ]
                }
            )
        elif self.path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{server.address}/blob/{wanted['oid']}"}}}
                for wanted in json.loads(content)["objects"]
            ]
            self.reply({"transfer": "basic", "objects": objects})
        else:
            repo = re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path)[1]
            for line in content.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "header":
                    server.messages.append(value["summary"])
                elif entry["key"] == "file":
                    server.repos[repo][value["path"]] = base64.b64decode(value["content"])
                else:
                    server.repos[repo][value["path"]] = server.blobs[value["oid"]]
            url = f"{server.address}/{repo}/commit/{'1' * 40}"
            self.reply({"success": True, "commitUrl": url, "commitOid": "1" * 40, "hookOutput": ""})


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in (("ENDPOINT", server.address), ("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_export_is_pushed_as_it_is_privately_and_without_the_token(hub, trained, tmp_path):
    run, folder = trained(), tmp_path / "out"
    screen = succeed("export", run, folder, "--push", "me/model")
    assert f"pushed to  {hub.address}/me/model/commit/" in screen.out
    assert hub.private == {"me/model": True}
    assert hub.messages == ["tiny, update 4"]
    there = {name: hashlib.sha256(content).hexdigest() for name, content in hub.repos["me/model"].items()}
    here = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert there == here
    assert hub.blobs  # the weights came by LFS
    assert not [name for name, content in hub.repos["me/model"].items() if TOKEN.encode() in content]
    (folder / "private-notes.txt").write_text("mine", encoding="utf-8")
    again = ppo_cli.export(run, folder, options=ExportOptions(push="me/second"))
    assert again.self_test is None  # nothing was written anew
    assert hub.repos["me/second"].keys() == there.keys()


def test_a_public_repository_needs_to_be_asked_for(hub, trained, tmp_path):
    hub.repos["me/open"], hub.private["me/open"] = {}, False
    with pytest.raises(UsageError, match="is a public repository"):
        ppo_cli.export(trained(), tmp_path / "out", options=ExportOptions(push="me/open"))
    assert hub.repos["me/open"] == {}
    ppo_cli.export(trained(), tmp_path / "out", options=ExportOptions(push="me/open", public=True))
    assert "model.safetensors" in hub.repos["me/open"]


def test_a_hub_that_refuses_or_is_away_leaves_the_export_and_the_command(hub, trained, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    hub.refuse = 403
    with pytest.raises(UsageError, match=r"is complete, and only the upload failed.*refuses.*403.*--push me/model"):
        ppo_cli.export(trained(), folder, options=ExportOptions(push="me/model"))
    assert (folder / "export.json").is_file()
    hub.refuse = None
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PpoError, match="only the upload failed") as failed:
        ppo_cli.export(trained(), folder, options=ExportOptions(push="me/model"))
    assert TOKEN not in str(failed.value)


def test_without_a_token_nothing_is_made(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UsageError, match="hf auth login"):
        ppo_cli.export(trained(), tmp_path / "out", options=ExportOptions(push="me/model"))
    assert not (tmp_path / "out").exists()
