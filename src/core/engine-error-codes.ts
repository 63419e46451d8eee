/** The part of the table of codes that is about where the state is kept. */
export interface EngineErrorCodes {
  /** A batch of an engine is too large, or writes a key twice. Do: mend the caller. */
  engine_bad_batch: 'Unexpected';
  /** A key of an engine is empty, too long or ill-formed. Do: mend the caller. */
  engine_bad_key: 'Unexpected';
  /** A range of an engine has bounds or a limit that it cannot have. Do: mend the caller. */
  engine_bad_range: 'Unexpected';
  /** A table of an engine has a name that it cannot have. Do: mend the caller. */
  engine_bad_table: 'Unexpected';
  /** A value of an engine is no bytes, or too long. Do: mend the caller. */
  engine_bad_value: 'Unexpected';
  /** The engine was used after it had been closed. Do: open the vault again. @status permanent */
  engine_closed: 'Unavailable';
  /** Others kept changing the same entries of the database, or kept all its connections busy. Do: try again. */
  engine_contended: 'Unavailable';
  /** A copy of the records is not what they are. Do: empty the new place and run `holdfast migrate` again. */
  engine_copy_differs: 'Corrupt';
  /** Somebody works on the records that are to be moved. Do: end all processes of that vault, then try again. */
  engine_in_use: 'Conflict';
  /** The database of the state is damaged. Do: move its folder aside and run `holdfast recover`. */
  engine_corrupt: 'Corrupt';
  /** The disk of the state is full. Do: free some space. */
  engine_full: 'QuotaExceeded';
  /** The database of the state cannot be used. Do: see the message; check the disk. */
  engine_io: 'Unavailable';
  /** The state cannot be kept at that path. Do: name a folder, or a path at which one can be made. */
  engine_location: 'ConfigInvalid';
  /** Another process holds the state. Do: wait for it to finish, then try again. */
  engine_locked: 'Unavailable';
  /** The records were moved, or are being moved, to another engine. Do: use that one; see the message. @status permanent */
  engine_moved: 'Unavailable';
  /** The connection to the database was lost under a write, and whether it took effect could not be asked. Do: read what was to be changed before you decide. @status persistent */
  engine_outcome_unknown: 'Unavailable';
  /** The state may not be read or written. Do: give this user access to the folder. */
  engine_permission: 'PermissionDenied';
  /** The database is a standby, or takes no writes. Do: name the primary, or all hosts, in the URL. */
  engine_read_only: 'Unavailable';
  /** A later version of Holdfast has changed the database's schema. Do: use that version. @status permanent */
  engine_schema_newer: 'Unavailable';
  /** A statement took the database longer than it may. Do: look at its load and its locks. */
  engine_timeout: 'Timeout';
  /** The database server does not answer, or refuses connections. Do: check that it runs and can be reached. */
  engine_unreachable: 'Unavailable';
  /** What the engine needs cannot be loaded on this machine. Do: see the hint; reinstall the packages, or choose another engine. @status permanent */
  engine_unsupported: 'Unavailable';
}
