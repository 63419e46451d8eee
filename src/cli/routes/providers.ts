import { buildCommand, buildRouteMap, type RouteMap } from '@stricli/core';
import { anyText, type CliContext, commonFlags, configFlags } from '../flags.ts';
import { off, onOff, optional, providerId } from './parameters.ts';

const providersModule = () => import('../commands/providers.ts');

export const providers: RouteMap<CliContext> = buildRouteMap({
  routes: {
    list: buildCommand({
      loader: async () => (await providersModule()).list,
      parameters: { flags: commonFlags },
      docs: { brief: 'Show what is known of each provider, and why' },
    }),
    probe: buildCommand({
      loader: async () => (await providersModule()).probe,
      parameters: { flags: commonFlags },
      docs: { brief: 'Ask every provider now' },
    }),
    add: buildCommand({
      loader: async () => import('../commands/providers-add.ts'),
      parameters: {
        flags: {
          ...configFlags,
          id: { ...optional, brief: 'Its id, for good (default: the kind)' },
          bucket: { ...optional, brief: 'Bucket, which must exist' },
          region: { ...optional, brief: 'Region of the bucket' },
          endpoint: { ...optional, brief: 'Address of an S3 server', placeholder: 'URL' },
          account: { ...optional, brief: 'Account id of Cloudflare', placeholder: 'ID' },
          prefix: { ...optional, brief: 'Prefix of all keys in the bucket' },
          url: { ...optional, brief: 'Address of a WebDAV folder or a node' },
          host: { ...optional, brief: 'SFTP server' },
          port: { ...optional, brief: 'Its port (default: 22)' },
          username: { ...optional, brief: 'User there', placeholder: 'NAME' },
          root: { ...optional, brief: 'Folder here, or on the SFTP server', placeholder: 'DIR' },
          hostKey: {
            ...optional,
            variadic: true,
            brief: 'Fingerprint of a key of the SFTP server',
            placeholder: 'SHA256:…',
          },
          env: {
            ...optional,
            variadic: true,
            brief: 'A field of the credentials is in this variable',
            placeholder: 'FIELD=VARIABLE',
          },
          credentialsFile: { ...optional, brief: 'Credentials: JSON, mode 0600', placeholder: 'FILE' },
          caFile: { ...optional, brief: 'Authorities to trust, PEM', placeholder: 'FILE' },
          noSlots: { ...off, brief: 'It keeps no pointers of names: slots = false' },
          untried: { ...off, brief: 'Write it without trying it' },
          first: { ...off, brief: 'In place of the nine folders that a new vault starts with' },
        },
        positional: {
          kind: 'tuple',
          parameters: [
            {
              brief: 'folder, aws, r2, b2, s3, webdav, sftp, rclone or node',
              parse: anyText,
              placeholder: 'kind',
            },
          ],
        },
      },
      docs: {
        brief: 'Add a provider to the configuration, once it has worked',
        fullDescription: `Add a provider to the configuration, once it has worked.

Kinds: folder, aws, r2 (Cloudflare), b2 (Backblaze), s3 (MinIO, Ceph and others), webdav (Nextcloud and others), sftp,
rclone, node (Holdfast's own). What no option says is asked for on a terminal. A blob and a pointer are written, read
and deleted; only then the table is put behind the others in the configuration, which stays as it is otherwise. Secrets
never stand there: name variables (--env) or a file (--credentials-file), or type them, and they are kept in
credentials/<id>.json of the home, mode 0600.`,
      },
    }),
    maintenance: buildCommand({
      loader: async () => (await providersModule()).maintenance,
      parameters: {
        flags: commonFlags,
        positional: {
          kind: 'tuple',
          parameters: [providerId, { brief: 'on or off', parse: onOff, placeholder: 'on|off' }],
        },
      },
      docs: { brief: 'Keep new shards away from a provider' },
    }),
    validate: buildCommand({
      loader: async () => (await providersModule()).validate,
      parameters: { flags: configFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Run the adapter contract against a live provider, and clean up' },
    }),
    init: buildCommand({
      loader: async () => (await providersModule()).init,
      parameters: { flags: configFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Make the folder of a new or replaced local provider' },
    }),
  },
  defaultCommand: 'list',
  docs: { brief: 'Show, probe and manage providers' },
});
