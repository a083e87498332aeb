"""The mutants: small faults in storage, couriers and the checks of callbacks, and who notices each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault.

    Attributes:
        name: What is wrong, as a person would say it.
        file: The module, from the root of the repository.
        old: What stands there; exactly once.
        new: What stands there in the mutant.
        tests: Arguments of pytest: at least one of these tests must fail.
        survives: Why no test can notice it; empty where one must.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""


PRIVATE_FILE = "storage/private_file.py"
SCHEMA = "storage/vault/schema.py"
MAKING = "storage/vault/making.py"
TREE = "storage/vault/tree.py"
INTEGRITY = "storage/vault/integrity.py"
TAMPER_CHECK = "storage/vault/tamper_check.py"
LOGIN_ROWS = "storage/vault/login_rows.py"
ROLLBACK = "storage/vault/rollback.py"
SEALING = "storage/keys/sealing.py"
VAULT = "storage/vault/vault.py"
KEPT_LIST = "storage/vault/kept_list.py"
SLOTS = "storage/keys/slots.py"
OUTSIDE = "storage/keys/outside.py"
ARRIVALS = "storage/arrivals.py"
FORK = "interfaces/couriers/fork.py"
WORKER_PROCESS = "interfaces/couriers/worker_process.py"
SIGNALS = "interfaces/couriers/signals.py"
PROCESS = "interfaces/process.py"
CALLBACK = "engine/oauth/callback.py"
REFUSALS = "engine/flows/refusals.py"
LOGOUT = "engine/flows/logout.py"
MESSAGE = "transports/loopback/http_message.py"
RESOURCE = "engine/oauth/protected_resource.py"
DISCOVERY = "engine/oauth/resource_discovery.py"
REGISTRATION = "engine/oauth/registration.py"
ISSUER = "engine/oauth/issuer.py"
GRANT = "engine/oauth/grant_request.py"
GRANTS = "engine/flows/grants.py"
CODE_EXCHANGE = "engine/flows/code_exchange.py"
USERLESS = "engine/flows/userless.py"
ASKED = "tests/conductor/test_grants.py"
ASKED_BY_COMMAND = "tests/command/test_grant_logins.py"
CLIENTS = "interfaces/clients.py"

BEARER = "interfaces/auth/bearer.py"
AT_HAND = "interfaces/tokens_at_hand.py"
GLANCE = "storage/vault/glance.py"
IN_MEMORY = "tests/interfaces/test_tokens_at_hand.py"
FOR_REQUESTS = "interfaces/auth/requests.py"
FOR_HTTPX = "interfaces/auth/httpx.py"
ASYNC_SERVICE = "interfaces/async_service.py"
IMPORTING = "interfaces/importers/importing.py"

DISK = "tests/storage/test_written_to_disk.py"
DAMAGE = ("tests/storage/test_tree.py", "tests/storage/test_damage_campaign.py")
RECORDS = ("tests/storage/test_records.py", "tests/storage/test_format_vectors.py")
PLACES = ("tests/storage/test_places.py", "tests/storage/test_intruder_campaign.py")
CONTRACT = "tests/storage/test_contract.py"
KEY_COMMAND = "tests/storage/test_key_command.py"
FORKED = "tests/interfaces/test_fork_courier.py"
FORKED_WORKER = "tests/interfaces/test_forked_worker.py"
SPAWNED = "tests/interfaces/test_spawn_courier.py"
INLINE = "tests/interfaces/test_courier.py"
CALLBACKS = "tests/protocol/test_callback.py"
WAYS = "tests/conductor/test_providers_ways.py"
LOGOUTS = "tests/conductor/test_logout.py"
REFUSED = "tests/conductor/test_refusals.py"
AUTH_OBJECTS = "tests/auth/test_auth_objects.py"
AWAITED = "tests/auth/test_async_service.py"
IMPORTED = "tests/importers/test_importers.py"
ADDRESSES = "tests/conductor/test_logins_by_address.py"
HOSTILE_RESOURCES = "tests/misbehaviour/test_hostile_resources.py"
CONNECTIONS = "tests/protocol/test_public_connections.py"
MOVING = "tests/conductor/test_moved_endpoints.py"
RESOURCES = "tests/protocol/test_protected_resource.py"
REGISTERED = "tests/protocol/test_registration.py"

WAITING = "tests/storage/test_arrivals.py"
LISTED = "tests/storage/test_kept_list.py"

MUTANTS: tuple[Mutant, ...] = (
    # --- lists of large vaults -----------------------------------------------------------------
    Mutant(
        name="a list shows a login as it was when it was kept",
        file=KEPT_LIST,
        old="for leaf, total in sums.items() if kept.sums.get(leaf) != total}",
        new="for leaf, total in sums.items() if leaf not in kept.sums}",
        tests=(LISTED,),
    ),
    Mutant(
        name="rows that a list reads are not compared with the tree",
        file=KEPT_LIST,
        old="if sums_of(keys, rows) != stale:",
        new="if sums_of(keys, rows).keys() != stale.keys():",
        tests=(LISTED,),
    ),
    Mutant(
        name="what was kept for lists stays under the former key",
        file=VAULT,
        old="            put_header(connection, *rekey(connection, before, keys, move))\n            remove_list(self.directory)",
        new="            put_header(connection, *rekey(connection, before, keys, move))",
        tests=(LISTED,),
    ),
    # --- files ---------------------------------------------------------------------------------
    Mutant(
        name="an ID token of one tenant may name the issuer of another",
        file=ISSUER,
        old="return expected is not None and named == expected",
        new="return expected is not None and is_of_tenant(template, named)",
        tests=("tests/protocol/test_id_token.py",),
    ),
    Mutant(
        name="metadata of another tenant serve the client of one",
        file=ISSUER,
        old="if template is None or is_of_tenant(template, asked):",
        new="if template is None:",
        tests=("tests/protocol/test_metadata.py",),
    ),
    Mutant(
        name="a private file gets its name before it is on the disk",
        file=PRIVATE_FILE,
        old="            if durable:  # before the name",
        new="            if not data:  # before the name",
        tests=(DISK,),
    ),
    Mutant(
        name="the directory of a private file is not synchronised",
        file=PRIVATE_FILE,
        old="        if durable:\n            sync_directory(os.path.dirname(path))\n",
        new="",
        tests=(DISK,),
    ),
    Mutant(
        name="no directory is synchronised",
        file=PRIVATE_FILE,
        old="    try:\n        os.fsync(descriptor)\n",
        new="    try:\n        pass\n",
        tests=(DISK,),
    ),
    Mutant(
        name="links to files are followed",
        file=PRIVATE_FILE,
        old=' | getattr(os, "O_NOFOLLOW", 0)',
        new="",
        tests=(DISK,),
    ),
    Mutant(
        name="a link in the place of the database is not seen",
        file=PRIVATE_FILE,
        old="        found = os.lstat(path)\n    except FileNotFoundError:\n        raise\n",
        new="        found = os.stat(path)\n    except FileNotFoundError:\n        raise\n",
        tests=(DISK,),
    ),
    Mutant(
        name="private files are made with what the umask leaves",
        file=PRIVATE_FILE,
        old="os.O_CREAT | os.O_EXCL, 0o600)\n        except",
        new="os.O_CREAT | os.O_EXCL, 0o666)\n        except",
        tests=PLACES,
    ),
    Mutant(
        name="a directory that others can enter is used",
        file=PRIVATE_FILE,
        old='    if _POSIX and found.st_mode & 0o077:\n        raise StorageError(f"{where} is open',
        new='    if _POSIX and found.st_mode & 0o007:\n        raise StorageError(f"{where} is open',
        tests=PLACES,
    ),
    Mutant(
        name="directories above that anybody can write to are used",
        file=PRIVATE_FILE,
        old="    if found.st_mode & stat.S_IWOTH:\n",
        new="    if False:\n",
        tests=PLACES,
    ),
    Mutant(
        name="directories above that a group can write to are used",
        file=PRIVATE_FILE,
        old="    if found.st_mode & stat.S_IWGRP and not",
        new="    if False and not",
        tests=PLACES,
    ),
    Mutant(
        name="a file with a second name is used",
        file=PRIVATE_FILE,
        old="    if found.st_nlink > 1:",
        new="    if found.st_nlink > 9:",
        tests=(DISK,),
    ),
    # --- the vault -----------------------------------------------------------------------------
    Mutant(
        name="the directory of a new vault is not synchronised",
        file=MAKING,
        old="        sync_directory(directory)\n",
        new="",
        tests=(DISK,),
    ),
    Mutant(
        name="SQLite leaves what it deletes",
        file=SCHEMA,
        old='"secure_delete = ON"',
        new='"secure_delete = OFF"',
        tests=(DISK,),
    ),
    Mutant(
        name="a commit does not wait for the disk",
        file=SCHEMA,
        old="f\"synchronous = {'FULL' if wal else 'EXTRA'}\"",
        new='"synchronous = OFF"',
        tests=("tests/storage/test_crash_campaign.py",),
    ),
    Mutant(
        name="an older version is written over a newer one",
        file=LOGIN_ROWS,
        old="    if (found[0] if found else 0) != (login.version - 1 if over is None else over):",
        new="    if (found[0] if found else 0) > login.version:",
        tests=(CONTRACT,),
    ),
    Mutant(
        name="the seal of a row does not know its version",
        file=SEALING,
        old="_u16(RECORD) + _u64(version) + _u32(",
        new="_u16(RECORD) + _u64(0) + _u32(",
        tests=RECORDS,
    ),
    Mutant(
        name="the seal of a row does not know its login",
        file=SEALING,
        old='b"\\0".join((self.store, login.encode(), kind.encode(), state.encode()))',
        new='b"\\0".join((self.store, b"", kind.encode(), state.encode()))',
        tests=RECORDS,
    ),
    Mutant(
        name="all rows are sealed with one key",
        file=SEALING,
        old="_OF_RECORD + _u32(len(name)) + name + end",
        new="_OF_RECORD + _u32(0) + end",
        tests=RECORDS,
    ),
    Mutant(
        name="the link of an event does not hold those before it",
        file=SEALING,
        old="before + _u64(seq) + sealed)",
        new="_u64(seq) + sealed)",
        tests=("tests/storage/test_audit_tampering.py", *RECORDS),
    ),
    Mutant(
        name="the digest of a row does not know its seals",
        file=TREE,
        old='return (index or b"") + meta[-16:] + secret[-16:]',
        new='return (index or b"")',
        tests=DAMAGE,
    ),
    Mutant(
        name="the branch of a row is not compared with the root",
        file=TREE,
        old="        if digest_of(keys, place, body) != expected:\n",
        new="        if False:\n",
        tests=DAMAGE,
    ),
    Mutant(
        name="a row is not compared with its leaf",
        file=TREE,
        old="        genuine = _sum(keys, rows) == entry\n",
        new="        genuine = True\n",
        tests=DAMAGE,
    ),
    Mutant(
        name="the seal of the integrity record is not compared",
        file=TREE,
        old="keys.head_mac(body) != mac:",
        new="keys.head_mac(body) is None:",
        tests=DAMAGE,
    ),
    Mutant(
        name="what was exchanged behind our back becomes genuine by the next commit",
        file=TREE,
        old="        if not genuine[place]:\n            continue\n",
        new="",
        tests=DAMAGE,
    ),
    Mutant(
        name="missing logins are not counted",
        file=INTEGRITY,
        old="    if count != head.rows:\n",
        new="    if False:\n",
        tests=DAMAGE,
        survives="the root differs as well; the count only makes the sentence more telling",
    ),
    Mutant(
        name="a list is not compared with the root",
        file=INTEGRITY,
        old="    if root_of(keys, tree) != head.root:\n",
        new="    if False:\n",
        tests=DAMAGE,
    ),
    Mutant(
        name="a doubtful row is given out without asking the log",
        file=TAMPER_CHECK,
        old="        if (last_saved(connection, keys, head.first) or {}).get(row[0]) != row[1]:\n",
        new="        if False:\n",
        tests=DAMAGE,
    ),
    Mutant(
        name="a page of logins is given without a look at the others",
        file=TAMPER_CHECK,
        old="                self._compare(keys, head, rows_in_pieces(connection))\n",
        new="                pass\n",
        tests=("tests/postgres/test_pages_of_logins.py",),
    ),
    Mutant(
        name="a list is shown without being compared",
        file=TAMPER_CHECK,
        old="        self._compare(keys, head, rows)\n        return [\n",
        new="        return [\n",
        tests=("tests/postgres/test_pages_of_logins.py",),
    ),
    Mutant(
        name="a vault that was put back is taken for the present one",
        file=ROLLBACK,
        old="noted is not None and noted > generation",
        new="noted is not None and noted < generation",
        tests=("tests/storage/test_vault.py", "tests/storage/test_upkeep.py"),
    ),
    # --- keys ----------------------------------------------------------------------------------
    Mutant(
        name="a passphrase is stretched with 8 MiB and one pass",
        file=SLOTS,
        old="_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4",
        new="_MEMORY_KIB, _PASSES, _LANES = 8 * 1024, 1, 4",
        tests=(DISK,),
    ),
    Mutant(
        name="the memory that a foreign header asks for has no bound",
        file=SLOTS,
        old="        or not 8 * lanes <= memory <= _MOST_MEMORY_KIB\n",
        new="",
        tests=("tests/storage/test_vault_making.py",),
    ),
    Mutant(
        name="the key command may print without end",
        file=OUTSIDE,
        old="        if len(octets) > _LIMIT:\n",
        new="        if False:\n",
        tests=(KEY_COMMAND,),
    ),
    Mutant(
        name="the key command may take for ever",
        file=OUTSIDE,
        old="CLOCK.monotonic() > deadline",
        new="0.0 > deadline",
        tests=(KEY_COMMAND,),
    ),
    Mutant(
        name="what the key command has started goes on",
        file=OUTSIDE,
        old="            os.killpg(process.pid, signal.SIGKILL)\n",
        new="            pass\n",
        tests=(KEY_COMMAND,),
    ),
    Mutant(
        name="a word serves as a key",
        file=OUTSIDE,
        old="    if len(secret) < _LEAST:\n",
        new="    if not secret:\n",
        tests=(KEY_COMMAND, "tests/storage/test_three_methods.py"),
    ),
    # --- tokens that arrived, and couriers -------------------------------------------------------
    Mutant(
        name="tokens that cannot be saved are kept in no place",
        file=ARRIVALS,
        old="                    return place\n",
        new="                    return None\n",
        tests=("tests/storage/test_vault_faults.py",),
    ),
    Mutant(
        name="a late retry replaces newer tokens that wait",
        file=ARRIVALS,
        old="                        if there <= ours:",
        new="                        if place:",
        tests=(WAITING,),
    ),
    Mutant(
        name="who has saved tokens removes newer ones that wait",
        file=ARRIVALS,
        old="if there == _TORN or _NOTHING < there < (login.version + 1, 0):",
        new="if place:",
        tests=(WAITING,),
    ),
    Mutant(
        name="keepers of tokens take no turns",
        file=ARRIVALS,
        old="while not try_lock(descriptor) and",
        new="while False and",
        tests=(WAITING,),
    ),
    Mutant(
        name="who lost the lease removes tokens that wait",
        file=ARRIVALS,
        old="        except Fenced:  # whoever has the lease now brings them in\n            raise\n",
        new="",
        tests=(WAITING,),
    ),
    Mutant(
        name="kept tokens are older than the row, and win",
        file=ARRIVALS,
        old="kept[-1][0].version <= row.version",
        new="kept[-1][0].version < 0",
        tests=("tests/storage/test_vault_faults.py",),
    ),
    Mutant(
        name="a forked courier stays in the session of its sender",
        file=FORK,
        old="        os.setsid()\n",
        new="        pass\n",
        tests=(FORKED,),
    ),
    Mutant(
        name="a worker stays in the session of its program",
        file=WORKER_PROCESS,
        old="            start_new_session=True,\n",
        new="",
        tests=(SPAWNED,),
    ),
    Mutant(
        name="a worker inherits the whole environment",
        file=WORKER_PROCESS,
        old="**environment(os.environ)",
        new="**os.environ",
        tests=(SPAWNED,),
    ),
    Mutant(
        name="a request that may have left is sent again as if it had not",
        file=FORK,
        old="again=job.again or self.sent)",
        new="again=job.again)",
        tests=(FORKED,),
    ),
    Mutant(
        name="tokens that came to a killed courier are forgotten",
        file=FORK,
        old="        if self._arrived is not None:\n",
        new="        if False:\n",
        tests=(FORKED,),
    ),
    Mutant(
        name="a courier keeps the files of its sender open",
        file=FORK,
        old="        _keep_only(kept)\n",
        new="        pass\n",
        tests=(FORKED,),
    ),
    Mutant(
        name="a forked worker does not see its program end",
        file=WORKER_PROCESS,
        old="            ours.close()  # or it would not see its parent end\n            stand_alone({theirs.fileno()})\n",
        new="            stand_alone({theirs.fileno(), ours.fileno()})\n",
        tests=(FORKED_WORKER,),
    ),
    Mutant(
        name="a forked worker keeps the whole environment",
        file=WORKER_PROCESS,
        old="            os.environ.clear()\n",
        new="",
        tests=(FORKED_WORKER,),
    ),
    Mutant(
        name="every job of a program gets a child of its own",
        file="interfaces/couriers/choice.py",
        old="        self._first = False\n",
        new="",
        tests=(FORKED_WORKER,),
    ),
    Mutant(
        name="many records are checked at once without their links",
        file="storage/audit/record_keys.py",
        old="if found != seq or link.finalize() != mac:",
        new="if found != seq:",
        tests=("tests/storage/test_audit_tampering.py",),
    ),
    Mutant(
        name="the proxy of the process is taken for a program with an environment of its own",
        file="interfaces/http.py",
        old="proxy_for(request.url, self._environ)",
        new="proxy_for(request.url)",
        tests=("tests/protocol/test_http_client.py",),
    ),
    Mutant(
        name="Ctrl-C interrupts a job",
        file=SIGNALS,
        old='DEFERRED: Final = _signals("SIGINT", "SIGTERM",',
        new='DEFERRED: Final = _signals("SIGTERM",',
        tests=(INLINE,),
    ),
    Mutant(
        name="a crash writes the memory to a file",
        file=PROCESS,
        old="resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))",
        new="resource.setrlimit(resource.RLIMIT_CORE, limits)",
        tests=("tests/interfaces/test_process.py",),
    ),
    # --- callbacks -----------------------------------------------------------------------------
    Mutant(
        name="a callback from another provider is taken",
        file=CALLBACK,
        old="    elif (expected and not accepts_issuer(login.config, issuer)) or (\n",
        new="    elif (expected and not issuer) or (\n",
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="a callback without the promised issuer is taken",
        file=CALLBACK,
        old="        if expected and login.config.iss_required:\n",
        new="        if False:\n",
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="a callback with another state is taken",
        file=CALLBACK,
        old="    if Secret(state) != challenge.state:\n",
        new="    if False:\n",
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="a bare code is taken although PKCE is off",
        file=CALLBACK,
        old=' and config.pkce != "off"',
        new="",
        tests=(WAYS,),
    ),
    Mutant(
        name="a parameter may take the name of another of its request",
        file="engine/oauth/dialect.py",
        old="names[name].lower() not in kind - {name}",
        new="True",
        tests=("tests/protocol/test_settings_check.py",),
    ),
    Mutant(
        name="a secret goes with requests that it is not for",
        file="engine/oauth/client_authentication.py",
        old='    return "none" if config.secret_for == "none" and method in _BY_SECRET else method\n',
        new="    return method\n",
        tests=(WAYS,),
    ),
    Mutant(
        name="a no in the body of a 200 confirms a revocation",
        file="engine/oauth/token_status.py",
        old="        if members is not None and error_code(members) is not None:\n",
        new="        if False:\n",
        tests=(WAYS,),
    ),
    Mutant(
        name="a code without state is taken from any transport",
        file=CALLBACK,
        old='presentation is not None and presentation.transport == "manual"',
        new="presentation is not None",
        tests=(CALLBACKS, "tests/protocol/test_pasted.py"),
    ),
    Mutant(
        name="an error is believed before state is compared",
        file=CALLBACK,
        old='    _check_state(values.get("state"), login)\n    if "error" in values:\n'
        '        return _denial(values["error"], values.get("error_description"))\n',
        new='    if "error" in values:\n'
        '        return _denial(values["error"], values.get("error_description"))\n'
        '    _check_state(values.get("state"), login)\n',
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="of a repeated parameter the first counts",
        file=CALLBACK,
        old="        if name in {*_WATCHED, *kept} and name in values:\n",
        new="        if False:\n",
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="tokens in a callback are ignored",
        file=CALLBACK,
        old="    if _IMPLICIT & values.keys():\n",
        new="    if False:\n",
        tests=(CALLBACKS,),
    ),
    Mutant(
        name="a form of another content type is read",
        file=MESSAGE,
        old='            if kind != "application/x-www-form-urlencoded":\n',
        new="            if False:\n",
        tests=("tests/transports/test_pieces.py",),
    ),
    Mutant(
        name="a request with two lengths is read",
        file=MESSAGE,
        old="(known in headers and known in _ONLY_ONCE)",
        new="False",
        tests=("tests/transports/test_hostile_requests.py", "tests/transports/test_pieces.py"),
    ),
    Mutant(
        name="every refused callback is a line of the log",
        file=REFUSALS,
        old="seen.said.total() < IN_FULL or",
        new="True or",
        tests=(REFUSED,),
    ),
    Mutant(
        name="refusals that were counted are never told",
        file=REFUSALS,
        old="        seen = self._by_login.pop(login_id, None)\n        if seen is not None:\n",
        new="        seen = self._by_login.pop(login_id, None)\n        if False:\n",
        tests=(REFUSED,),
    ),
    # --- signing out ---------------------------------------------------------------------------
    Mutant(
        name="only the refresh token is revoked",
        file=LOGOUT,
        old='"refresh_token": tokens.refresh_token, "access_token": tokens.access_token}',
        new='"refresh_token": tokens.refresh_token}',
        tests=(LOGOUTS,),
    ),
    Mutant(
        name="only the access token is revoked",
        file=LOGOUT,
        old='"refresh_token": tokens.refresh_token, "access_token": tokens.access_token}',
        new='"access_token": tokens.access_token}',
        tests=(LOGOUTS,),
    ),
    # --- auth objects --------------------------------------------------------------------------
    Mutant(
        name="a token goes to hosts that it was not made for",
        file=BEARER,
        old="        if self.hosts and not named:\n",
        new="        if False:\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="a token goes over plain http to another machine",
        file=BEARER,
        old='        plain = origin.scheme != "https" and not loopback_host(origin.host)\n',
        new="        plain = False\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="a resource that refuses every token costs a refresh each time",
        file=BEARER,
        old="        if self.memory.refused_fresh.get(origin) == refused:\n",
        new="        if False:\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="with requests, a body that was read to its end is sent again",
        file=FOR_REQUESTS,
        old="        if fresh is None or not _rewound(request):\n",
        new="        if fresh is None:\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="with httpx, a body that was read to its end is sent again",
        file=FOR_HTTPX,
        old="    return sendable_again(request, httpx.ByteStream)\n",
        new="    return True\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="with httpx, a 401 after a redirect brings the token to another host",
        file=FOR_HTTPX,
        old="    return response.status_code == HTTPStatus.UNAUTHORIZED and _carries(response, headers)\n",
        new="    return response.status_code == HTTPStatus.UNAUTHORIZED\n",
        tests=(AUTH_OBJECTS,),
    ),
    Mutant(
        name="a login waits on after the task that awaits it was cancelled",
        file=ASYNC_SERVICE,
        old="            ended.own.set()\n",
        new="            pass\n",
        tests=(f"{AWAITED}::test_a_login_ends_with_the_task_that_awaits_it",),
    ),
    Mutant(
        name="a refresh token of another server is imported",
        file=IMPORTING,
        old="    fitting = [one for one in found if one.host is None or one.host in hosts]\n",
        new="    fitting = list(found)\n",
        tests=(IMPORTED,),
    ),
    # --- logins by address ---------------------------------------------------------------------
    Mutant(
        name="a challenge names metadata on any host",
        file=RESOURCE,
        old="if place is None or origin_of(place) != origin_of(resource):",
        new="if place is None:",
        tests=(RESOURCES,),
    ),
    Mutant(
        name="one tenant of a host speaks for the host",
        file=RESOURCE,
        old="return inside and location == well_known_place(bare)",
        new="return inside",
        tests=(RESOURCES,),
    ),
    Mutant(
        name="a stranger names a private host",
        file=RESOURCE,
        old='return not private_host(host) or private_host(urlsplit(resource).hostname or "")',
        new="return True",
        tests=(RESOURCES,),
    ),
    Mutant(
        name="a server of a resource need not promise PKCE",
        file=DISCOVERY,
        old='if metadata.pkce_methods is None or "S256" not in metadata.pkce_methods:',
        new="if False:",
        tests=(HOSTILE_RESOURCES,),
    ),
    Mutant(
        name="a registration may have another redirect address",
        file=REGISTRATION,
        old='if any(address not in wanted for address in cast("list[object]", addresses)):',
        new="if False:",
        tests=(REGISTERED,),
    ),
    Mutant(
        name="everybody registers for themselves",
        file=CLIENTS,
        old="        with self._storage.lease(_LEASE, wait=_WAIT):",
        new="        if True:",
        tests=(ADDRESSES,),
    ),
    Mutant(
        name="a refused registration serves again",
        file=CLIENTS,
        old="            and not self._refused_since(found, config)\n",
        new="",
        tests=(ADDRESSES,),
    ),
    Mutant(
        name="an exchange may bring any type of token",
        file=GRANT,
        old="    if not same:",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="what is no access token serves as one",
        file=GRANT,
        old="    if wanted == _ACCESS and not usable:",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="a token may be for any resource",
        file=GRANT,
        old="    if named is None or not config.resources:",
        new="    if True:",
        tests=(ASKED,),
    ),
    Mutant(
        name="an identity assertion may be for any server",
        file=GRANT,
        old="    if config.audience and audience_of(claims) != [config.audience]:",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="a refresh token that is of no use is kept",
        file=GRANT,
        old="    if tokens.refresh_token and config.can_ask_again:",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="a wider scope is not said",
        file=GRANT,
        old="    if scopes_unasked(config, tokens):",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="a client without credentials asks for itself",
        file=GRANT,
        old='    if config.grant == "client-credentials" and authentication_method(config) == "none":',
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="logins may ask each other in a circle",
        file=GRANTS,
        old="            if one == asker:",
        new="            if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="an ID token that has ended is exchanged",
        file=GRANTS,
        old="            if token is None or self._is_over(token):  # an access token may outlive it",
        new="            if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="a token that was given is kept when it was used",
        file=CODE_EXCHANGE,
        old="                config=_kept(login).spent(),",
        new="                config=login.config,",
        tests=(ASKED,),
    ),
    Mutant(
        name="a login of a program takes the place of a person's",
        file=CODE_EXCHANGE,
        old="    if older.config.needs_no_user != arrived.config.needs_no_user:",
        new="    if False:",
        tests=(ASKED,),
    ),
    Mutant(
        name="everybody asks for the first tokens",
        file=USERLESS,
        old="                return serving() or self.ask(",
        new="                return self.ask(",
        tests=(ASKED,),
    ),
    Mutant(
        name="a token that was refused is found again",
        file=USERLESS,
        old="            spent = found.tokens is not None and found.tokens.access_token == unlike",
        new="            spent = False",
        tests=(ASKED_BY_COMMAND,),
    ),
    Mutant(
        name="a refresh token follows its server to any host",
        file="engine/flows/moved.py",
        old="    return new in {old, home} and (",
        new="    return (",
        tests=(MOVING,),
    ),
    Mutant(
        name="a name that leads into a private network is connected to",
        file="interfaces/public_connections.py",
        old="    if private_host(str(connected.getpeername()[0])):",
        new="    if False:",
        tests=(CONNECTIONS,),
    ),
    Mutant(
        name="a resource whose name moves inside is private all at once",
        file=DISCOVERY,
        old="            if self._public is not None or origin_of(request.url) != self._origin:",
        new="            if origin_of(request.url) != self._origin:",
        tests=(CONNECTIONS,),
    ),
    Mutant(
        name="a client that is refused again and again is registered each time",
        file="interfaces/resource_logins.py",
        old="            if not self.clients.was_refused(config):\n                raise\n        return sign_in(configure())",
        new="            if not self.clients.was_refused(config):\n                raise\n        return self.once_more(configure(), configure, sign_in)",
        tests=(MOVING,),
    ),
    Mutant(
        name="a token in memory is handed out whatever was saved",
        file=AT_HAND,
        old=" and kept.seen == self._glance.look():",
        new=":",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a token in memory is handed out after its time",
        file=AT_HAND,
        old="        if kept.first <= self._clock.now() < kept.end and ",
        new="        if ",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a login that was changed while it was read is kept in memory",
        file=AT_HAND,
        old="        if self._glance is None or look != self._glance.begin():",
        new="        look = self._glance.begin() if self._glance else None\n        if False:",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a process does not see its own logout where a look comes late",
        file=AT_HAND,
        old="        if login is not None:\n            self._kept",
        new="        if False:\n            self._kept",
        tests=(IN_MEMORY,),
        survives="the event of the logout names provider and account, too",
    ),
    Mutant(
        name="what this process saves is not forgotten",
        file=AT_HAND,
        old="        self._changes += 1\n        for one in recorded:",
        new="        return\n        for one in recorded:",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a token is kept in memory though the file was written within this step of the clock",
        file=GLANCE,
        old="            if now - written < (_STEP if written % _SECOND else _COARSE_STEP):",
        new="            if False:",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a commit that a write-ahead log publishes is not seen",
        file=GLANCE,
        old="            return seen if index is None else (seen, _published(index))",
        new="            return seen",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a look counts for ever",
        file=GLANCE,
        old="                CLOCK.monotonic() // _LOOK_ANEW,\n",
        new="",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a vault in the place of another is not seen",
        file=GLANCE,
        old="                found.st_ino,\n                found.st_size,\n                found.st_mtime_ns,\n                found.st_ctime_ns,\n",
        new="",
        tests=(IN_MEMORY,),
    ),
    Mutant(
        name="a database is not asked again",
        file="storage/postgres/storage.py",
        old="        return CLOCK.monotonic() // self._seconds",
        new="        return 0",
        tests=("tests/postgres/test_tokens_in_memory.py",),
    ),
    Mutant(
        name="a page of a list is not compared with the tree",
        file="storage/vault/pages.py",
        old="        if sums_of(keys, rows) != sums_in_tree(keys, nodes, head.root, first, last):",
        new="        if False:",
        tests=("tests/storage/test_vault_pages.py",),
    ),
    Mutant(
        name="rows that stand in no leaf hide others from a page",
        file="storage/vault/pages.py",
        old="    return page if len(page) == len(ids) else None",
        new="    return page",
        tests=("tests/storage/test_vault_pages.py",),
    ),
)  # fmt: skip
