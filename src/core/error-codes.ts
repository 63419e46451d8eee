import type { EngineErrorCodes } from './engine-error-codes.ts';

/**
 * Every code that is finer than its kind, with the kinds it occurs under. Codes are stable. The comment says when it
 * occurs and, after "Do:", what to do; docs/api/errors.md is made of it. Types only: nothing of this is loaded.
 */
export interface ErrorCodeTable extends EngineErrorCodes {
  /** A file or folder on this machine cannot be read or written. Do: check its owner, permissions and path. */
  access_denied: 'PermissionDenied';
  /** The agent of `holdfast unlock` ended before it answered. Do: give the passphrase each time, and report it. */
  agent_failed: 'Unexpected';
  /** The folder of the agent's socket could be another user's. Do: remove it, or set `XDG_RUNTIME_DIR`. */
  agent_folder_unsafe: 'PermissionDenied';
  /** `HOLDFAST_AGENT` is off, so that nothing would ask the agent. Do: unset it. */
  agent_off: 'ConfigInvalid';
  /** The agent's socket cannot be made here. Do: set `XDG_RUNTIME_DIR` to a folder of your own with a short path. */
  agent_unsupported: 'ConfigInvalid';
  /** There is a vault in the home already, or the state of one. Do: use another home, or restore the key file. */
  already_initialised: 'PermissionDenied';
  /** The content of a reader was read before. Do: call `getObject` again. */
  already_read: 'Unexpected';
  /** A node in amnesia mode was given an adapter that keeps what it stores. Do: use the memory adapter. */
  amnesia_refused: 'ConfigInvalid';
  /** An anchor has another digest of the same epoch or object. Do: find out which is right before anything else. */
  anchor_conflict: 'Conflict';
  /** The chain, the contract or its owner is not what the configuration says. Do: correct `[anchor]`. */
  anchor_contract: 'ConfigInvalid';
  /** A transaction costs more than it may. Do: wait, or raise `anchor.max_fee_gwei`. */
  anchor_fees: 'Unavailable';
  /** A log of roots has as many entries as it can have. Do: begin another in another folder, and keep this one. */
  anchor_full: 'QuotaExceeded';
  /** The account that anchors cannot pay for a transaction. Do: send it some of the chain's currency. */
  anchor_funds: 'QuotaExceeded';
  /** A file of a log of roots is damaged or missing. Do: restore it; a tile or checkpoint is made anew if removed. */
  anchor_log_damaged: 'Corrupt';
  /** A log of roots is older than what this vault saw of it. Do: bring the newer one back, or begin another in another folder. */
  anchor_log_older: 'Corrupt';
  /** The text is no checkpoint of this log, or not signed by its key. Do: do not trust it. */
  anchor_malformed: 'Corrupt';
  /**
   * The node of the chain does not answer, or what stands before it turns calls away. Do: see whether it runs and how often it
   * may be asked; what waits is sent when it is back.
   */
  anchor_node_down: 'Unavailable' | 'RateLimited';
  /** The node of the chain answers what cannot be, or contradicts itself. Do: ask another. */
  anchor_node_wrong: 'Unavailable';
  /** More waits to be anchored than there is room for. Do: try again later. */
  anchor_overloaded: 'RateLimited';
  /** The node of the chain does not take a call. Do: see what it says. */
  anchor_refused: 'Unavailable';
  /** There is no log of roots in the folder. Do: give the one that has `checkpoint` and `tile/` in it. */
  no_anchor_log: 'NotFound';
  /** The log has no such root, or its checkpoint does not cover it yet. Do: check what is asked for. */
  not_anchored: 'NotFound';
  /** Another process writes to the same log of roots. Do: stop it, or give each a folder of its own. */
  anchor_shared: 'Conflict';
  /** One chunk needs more than all the memory that is allowed. Do: raise `limits.memory_bytes`. */
  arena_too_small: 'QuotaExceeded';
  /** Sealed bytes do not open under this key. Do: use the right key file; otherwise treat the bytes as damaged. */
  authentication: 'Corrupt';
  /** A backend of a node does not answer. Do: bring it back; what it held is still served by the others. */
  backend_down: 'Unavailable';
  /** The access log cannot be opened. Do: check its path and the permissions of its folder. */
  bad_access_log: 'ConfigInvalid';
  /** An answer at the terminal, or of a server, is none that can be used. Do: give another, or see its log. */
  bad_answer: 'ConfigInvalid' | 'Unavailable';
  /** The text names no erasure code. Do: give one such as `lrc` or `reed-solomon:16+8`. */
  bad_code: 'ConfigInvalid';
  /** The content type is no media type. Do: give one such as `image/png`. */
  bad_content_type: 'ConfigInvalid';
  /** The key file is damaged, or none of ours. Do: restore it from a backup. */
  bad_key_file: 'Corrupt';
  /** A link in a manifest is malformed. Do: treat the manifest as damaged; its copies may be whole. */
  bad_link: 'Corrupt';
  /** The name is empty, too long, or has characters that cannot be typed. Do: choose another name. */
  bad_name: 'ConfigInvalid';
  /** An option has a value that it cannot have. Do: see its type. */
  bad_option: 'ConfigInvalid';
  /** A certificate was asked of a placement that is none. Do: report it. */
  bad_placement: 'Corrupt';
  /** The text is no range of bytes. Do: give `FIRST-LAST`, `FIRST-` or `-SUFFIX`. */
  bad_range: 'ConfigInvalid';
  /** A reference starts like an address and is none. Do: give `b3:` and 64 lower-case hex digits. */
  bad_reference: 'ConfigInvalid';
  /** The shards given to a code have wrong lengths or places. Do: give what `encode` returned. */
  bad_shards: 'Corrupt';
  /** What was given as an object's content has no bytes. Do: give bytes, a Blob, a stream or an iterable of bytes. */
  bad_source: 'ConfigInvalid';
  /** The flags do not go together with several files. Do: put them one by one, or with a prefix. */
  bad_sources: 'ConfigInvalid';
  /** A certificate, key or authority for TLS cannot be used. Do: check the files and their permissions. */
  bad_tls_files: 'ConfigInvalid';
  /** A line of the token file cannot be read. Do: write `name scopes token`. */
  bad_token_file: 'ConfigInvalid';
  /** The XML of a server is malformed, or lacks what it must have. Do: see the logs of the provider. */
  bad_xml: 'Unavailable';
  /** Tables that change in one step are kept in different engines. Do: give them one engine in `engine.overrides`. */
  batch_across_engines: 'ConfigInvalid';
  /** Binary content would go to a terminal. Do: write it to a file with `-o`. */
  binary_to_terminal: 'ConfigInvalid';
  /** The blob is longer than the provider takes. Do: lower `packs.target_bytes`, or raise the limit there. */
  blob_too_large: 'RangeNotSatisfiable';
  /** No provider returned the blob that a gateway was asked for. Do: bring providers back, then try again. */
  blob_unavailable: 'Unavailable' | 'NotFound';
  /** A server sent more bytes than were asked for. Do: see the logs of the provider. */
  body_too_long: 'Corrupt';
  /** The object would survive fewer losses than it must. Do: bring providers back or add some, or lower the minimum. */
  certificate_shortfall: 'PermissionDenied';
  /** An object has fewer chunks. Do: name one that it has; they count from 0. */
  chunk_not_found: 'NotFound';
  /** The provider failed repeatedly and is given a rest. Do: wait; see `holdfast providers`. */
  circuit_open: 'Unavailable';
  /** A secret would be sent unencrypted. Do: use `https://`. */
  cleartext_secret: 'ConfigInvalid';
  /** The clock of this machine shows an impossible time. Do: set it. */
  clock_implausible: 'ConfigInvalid';
  /** The adapter was used after it had been closed. Do: open it again. @status permanent */
  closed: 'Unavailable';
  /** Somebody else changed the configuration meanwhile. Do: run it again. */
  config_changed: 'Conflict';
  /** The configuration cannot be read. Do: check `--config` and `HOLDFAST_CONFIG`. */
  config_unreadable: 'ConfigInvalid';
  /** The connection broke. Do: try again. */
  connection_lost: 'Unavailable';
  /** There is a file of credentials of that name already. Do: use it, choose another id, or remove it. */
  credentials_exist: 'ConfigInvalid';
  /** The credentials of a provider cannot be read or lack a field. Do: correct them in the configuration. */
  credentials_invalid: 'ConfigInvalid';
  /** The credentials changed in the middle of an upload. Do: try again. */
  credentials_rotated: 'Unavailable';
  /** The disk is full. Do: free some space. */
  disk_full: 'QuotaExceeded';
  /** A provider has given as much for repair as it may in a day. Do: wait, or raise `repair.egress_per_day`. @status temporary */
  egress_cap: 'QuotaExceeded';
  /** An hour has a root and is not over by the clock of this machine. Do: compare the clocks; it is credited once it is over. */
  epoch_not_over: 'Unavailable';
  /** The parameters of an erasure code are out of range. Do: see the message. */
  erasure_params: 'ConfigInvalid';
  /** A gateway has no memory free for one more read. Do: try again soon. */
  gateway_busy: 'Unavailable';
  /** The SFTP server showed another host key than the configured one. Do: find out why before you change it. */
  host_key_mismatch: 'ConfigInvalid';
  /** The configuration lists its providers in one array. Do: write each as a `[[providers]]` table. */
  inline_providers: 'ConfigInvalid';
  /** An argument breaks the contract of the call. Do: mend the caller. */
  invalid_argument: 'Unexpected';
  /** This machine computed wrong bytes, and nothing was stored. Do: set `HOLDFAST_NATIVE=off`; test the memory. */
  kernel_fault: 'Corrupt';
  /** The home to which records are to be moved has another key file. Do: name another home, or put that file away. */
  key_file_differs: 'Conflict';
  /** There is no key file. Do: run `holdfast init` or `createVault`, name the right home, or restore a backup. */
  key_file_missing: 'NotFound';
  /** Others keep booking to the ledger. Do: try again. @status temporary */
  ledger_busy: 'Conflict';
  /** An entry, balance or mark of the ledger is not what the others say. Do: run `holdfast receipts rebuild`; nothing is credited until then. */
  ledger_damaged: 'Corrupt';
  /** The ledger is being built anew, and nothing is booked meanwhile. Do: wait; run `holdfast receipts rebuild` again where it was cut off. @status temporary */
  ledger_rebuilding: 'Conflict';
  /** A service cannot listen at that address. Do: choose one that is free and allowed. */
  listen_failed: 'ConfigInvalid';
  /** A listing of a provider is not in order. Do: see the logs of the provider; do not trust its listings. */
  listing_disordered: 'Corrupt';
  /** A listing of a provider does not end. Do: see the logs of the provider; do not trust its listings. */
  listing_too_long: 'Corrupt';
  /** Another provider was faster, so that this call was ended. Do: nothing. */
  lost_race: 'Aborted' | 'Timeout';
  /** Bytes that should be DAG-CBOR are not. Do: treat the record as damaged; its copies may be whole. */
  malformed_cbor: 'Corrupt';
  /** Compressed bytes do not decompress. Do: treat them as damaged. */
  malformed_compression: 'Corrupt';
  /** A manifest is authentic DAG-CBOR and still no manifest. Do: treat it as damaged; its copies may be whole. */
  malformed_manifest: 'Corrupt';
  /** The vault has no object of that address. Do: see `listManifests`, or `holdfast manifests`. */
  manifest_not_found: 'NotFound';
  /** Shards of a segment were moved in part too often. Do: move all shards of the provider at once. */
  moves_entangled: 'Conflict';
  /** The name stands for another version than the one that was to be replaced. Do: read it again and decide anew. */
  name_changed: 'Conflict';
  /** Too many write one name at once. Nothing was changed. Do: try again. @status temporary */
  name_contended: 'Conflict';
  /** No object has that name. Do: see `listObjects`, or `holdfast ls`. */
  name_not_found: 'NotFound';
  /** The current folder was removed. Do: change to another. */
  no_folder: 'NotFound';
  /** The server does not say how long a blob is. Do: see the logs of the provider. */
  no_length: 'Unavailable';
  /** No provider may take new shards. Do: see `holdfast providers` for what keeps each out. */
  no_providers: 'Unavailable';
  /** There are no receipts of this epoch, or no root of it yet. Do: see `holdfast receipts list`. */
  no_such_epoch: 'NotFound';
  /** No record of receipts has this id. Do: check the id and the folder; what is not on the disk yet has no proof. */
  no_such_receipt: 'NotFound';
  /** No provider returned an intact copy of a part of the manifest. Do: bring providers back, then try again. */
  node_unavailable: 'Unavailable' | 'NotFound' | 'Corrupt';
  /** The key of this vault does not open the object. Do: use the key file of the vault that put it. */
  not_a_reader: 'PermissionDenied';
  /** A record is not in its one canonical form. Do: treat it as damaged. */
  not_canonical: 'Corrupt';
  /** Too few providers took the data or the manifest. Do: free space or bring providers back, then try again. */
  not_enough_providers: 'Unavailable';
  /** Something is there already that must be new. Do: see the message. */
  not_new: 'ConfigInvalid' | 'PermissionDenied';
  /** A question has no answer, and there is no terminal to ask. Do: give it as a flag. */
  not_told: 'ConfigInvalid';
  /** No object was named. Do: give a name or an address. */
  nothing_named: 'ConfigInvalid';
  /** The key file has no passphrase. Do: nothing; every command can use it. */
  nothing_to_unlock: 'ConfigInvalid';
  /** The output of a command cannot be written. Do: see why in the message. */
  output_failed: 'Unexpected';
  /** There are more bytes than the caller allowed. Do: allow more, or read a part or the stream. */
  over_max_bytes: 'RangeNotSatisfiable';
  /** Too many workers count what repair moves at once. Do: try again. @status temporary */
  pace_contended: 'Conflict';
  /** The passphrase file cannot be read. Do: check `HOLDFAST_PASSPHRASE_FILE`. */
  passphrase_file: 'ConfigInvalid';
  /** The new passphrase is empty, or was not typed the same twice. Do: try again. */
  passphrase_mismatch: 'ConfigInvalid';
  /** A new vault needs a passphrase. Do: give one, or say that the key is to stay unwrapped. */
  passphrase_needed: 'ConfigInvalid';
  /** The other side of a connection is too slow to be waited for. Do: look at the network. */
  peer_too_slow: 'Timeout';
  /** The worker threads were stopped while they had work. Do: nothing; the vault was being closed. */
  pool_closed: 'Aborted';
  /** Too many jobs wait for a processor. Do: do less at once. */
  pool_full: 'QuotaExceeded';
  /** What is stored of a provider's speed cannot be read. Do: nothing; it is measured again. */
  profile_corrupt: 'Corrupt';
  /** The folder of a provider holds other files. Do: name an empty folder. */
  provider_folder_in_use: 'ConfigInvalid';
  /** A folder inside a provider's folder is a link, or none. Do: find out who put it there. */
  provider_folder_unsafe: 'Corrupt';
  /** The folder belongs to another provider. Do: correct its root, or mount the right disk. */
  provider_mismatch: 'ConfigInvalid';
  /** The folder of a provider is not there. Do: mount the disk, or set the folder up if it is new. @status permanent */
  provider_missing: 'Unavailable';
  /** The root of a provider is no folder. Do: name one. */
  provider_root: 'ConfigInvalid';
  /** Another run took this put for dead and undid it. Do: put it again; nothing became visible. @status temporary */
  put_fenced: 'Conflict';
  /** A put was cut off, and what is stored of its file is kept. Do: put the same file under the same name again. */
  put_interrupted: 'Aborted';
  /** Too many calls wait for one provider. Do: do less at once, or raise its `max_concurrency`. */
  queue_full: 'RateLimited';
  /** A record, a root or a proof of receipts is none of the format. Do: do not count it; another copy may be right. */
  receipt_malformed: 'Corrupt';
  /** The clock shows an hour long before the newest receipts. Do: set the clock, or move away what a wrong one wrote. */
  receipts_clock: 'Unavailable';
  /** A file of receipts is damaged or missing. Do: restore it from a copy, or move its epoch's folder away. */
  receipts_damaged: 'Corrupt';
  /** More receipts wait, or are in this hour, than there is room for. Do: try again later. */
  receipts_overloaded: 'RateLimited';
  /** Another process writes to the same receipts. Do: give each gateway a folder of its own. */
  receipts_shared: 'Conflict';
  /** Receipts cannot be written down: the disk is full, broken or does not answer. Do: mend it; reads go on meanwhile. */
  receipts_unwritten: 'Unavailable';
  /** The server sends us elsewhere. Do: configure the address that it names. */
  redirected: 'ConfigInvalid';
  /** This process repairs already. Do: nothing; see `holdfast repair-history`, or try again later. @status temporary */
  repair_running: 'Conflict';
  /** A provider does not let a blob that is there be replaced. Do: end the lock, or let the key overwrite. */
  replace_refused: 'PermissionDenied';
  /** A root is not signed by its gateway, or stands under another hour. Do: audit the hour, and restore the root from a copy. */
  root_refused: 'Corrupt';
  /** Two files would have one name. Do: put them apart, or with a prefix each. */
  same_name: 'ConfigInvalid';
  /** The vault or gateway was opened without a key. Do: ask one that has it. */
  sealed: 'PermissionDenied';
  /** Another worker is moving shards of the same segment. Do: nothing; try again later. @status temporary */
  segment_leased: 'Conflict';
  /** An hour of a gateway was credited, or found anchored, by another root. Do: see whether two machines sign with one key, or a root was replaced. */
  settled_otherwise: 'Conflict';
  /** The configuration credits nobody for reads. Do: set `settlement.enabled` and `settlement.folders`. */
  settlement_off: 'ConfigInvalid';
  /** A slot is rewritten faster than it can be read. Do: try again. */
  slot_busy: 'Unavailable';
  /** It cannot be told whether a write of a slot was made. Do: read the slot again and decide anew. */
  slot_outcome_unknown: 'Unavailable';
  /** A slot would be longer than slots are. Do: mend the caller. */
  slot_too_large: 'RangeNotSatisfiable';
  /** A file to be stored cannot be read. Do: check its path; a folder is put file by file or as an archive. */
  source_unreadable: 'NotFound';
  /** A file changed while it was stored. Do: put it again. */
  source_changed: 'Conflict';
  /** A transfer made no progress for `limits.stall_ms`. Do: see `holdfast providers`; look at the network. */
  stalled: 'Timeout';
  /** The state is older than the objects. Do: run `holdfast recover`, then try again. @status permanent */
  state_behind: 'Unavailable';
  /** The home has no state, and the work needs what is in it. Do: name the right --home; a lost state comes back with `holdfast recover`. */
  state_missing: 'NotFound';
  /** The TLS handshake was refused. Do: configure a client certificate if the server asks for one. */
  tls_refused: 'ConfigInvalid';
  /** The certificate of the server is not trusted. Do: name the authority that signed it. */
  tls_untrusted: 'ConfigInvalid';
  /** A pattern stands for too many files. Do: store them in parts, or as one archive. */
  too_many_files: 'ConfigInvalid';
  /** A provider gave back other bytes than were written to it. Do: do not use it. */
  trial_failed: 'HashMismatch';
  /** Too few intact shards are left. Do: bring providers back, then try again. */
  undecodable: 'Unavailable';
  /** An object was compressed by a codec that is not known. Do: update Holdfast. */
  unknown_codec: 'Corrupt';
  /** There is no such kind of provider. Do: choose one of those in the message. */
  unknown_kind: 'ConfigInvalid';
  /** The call has no such option. Do: see the suggestion in the hint. */
  unknown_option: 'ConfigInvalid';
  /** No provider of that id is configured. Do: see `vault.providers.list`, or `holdfast providers`. */
  unknown_provider: 'NotFound' | 'ConfigInvalid';
  /** A record was written by a newer Holdfast. Do: update this one. */
  unknown_version: 'Corrupt';
  /** The provider cannot do that, as its capabilities say. Do: ask another. */
  unsupported: 'PermissionDenied' | 'Unavailable' | 'Unexpected';
  /** The command line does not say what is to be done. Do: see `holdfast help`. */
  usage: 'ConfigInvalid';
  /** What is stored of a provider's usage cannot be read. Do: nothing; it is counted again. */
  usage_corrupt: 'Corrupt';
  /** The version was replaced or removed while it was read. Do: read again; raise `retention.replaced_seconds`. */
  version_replaced: 'Unavailable';
  /** The key file is wrapped so cheaply that its passphrase can be guessed. Do: restore the file that was made. */
  weak_key_file: 'PermissionDenied';
  /** A worker thread ended. Do: try again; report it if it comes back. */
  worker_failed: 'Unexpected';
  /** Bytes have another length than they must have. Do: treat them as damaged. */
  wrong_length: 'Corrupt' | 'Unavailable';
  /** The passphrase does not open the key file. Do: check it. */
  wrong_passphrase: 'PermissionDenied';
  /** Shards that were rebuilt are not what the manifest says. Do: put the object again while it can be read. */
  wrong_parity: 'Corrupt';
  /** The object read is not the one that was put. Do: do not use it; read it again, on another machine too. */
  wrong_plain_hash: 'Corrupt';
  /** The server sent another range than was asked for. Do: see the logs of the provider. */
  wrong_range: 'Unavailable';
  /** The home belongs to another vault. Do: put its key file back, or use another home. */
  wrong_vault: 'PermissionDenied';
}
