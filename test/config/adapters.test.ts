import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';

const load = (text: string) => loadConfig({ text, file: 'c.toml', env: {}, home: '/h' }).providers;

describe('providers of other kinds', () => {
  it('are read with their own keys, and secrets only by reference', () => {
    const [s3, sftp, node] = load(`
[[providers]]
id = "a"
adapter = "s3"
endpoint = "https://s3.example.net"
region = "eu-1"
bucket = "shards"
path_style = true
up_bytes_per_second = "10 MiB"
credentials = { env = { access_key_id = "A_KEY", secret_access_key = "A_SECRET" } }

[[providers]]
id = "b"
adapter = "sftp"
host = "b.example.net"
username = "u"
root = "/srv/b"
host_keys = ["SHA256:${'A'.repeat(43)}"]
credentials = { file = "/run/secrets/b.json" }

[[providers]]
id = "c"
adapter = "http"
url = "https://node.example.net"
credentials = { command = ["pass", "show", "node"] }
`);
    expect(s3).toMatchObject({
      adapter: 's3',
      pathStyle: true,
      upBytesPerSecond: 10 * 1024 * 1024,
      credentials: { env: { access_key_id: 'A_KEY', secret_access_key: 'A_SECRET' } },
    });
    expect(sftp).toMatchObject({
      adapter: 'sftp',
      root: '/srv/b',
      credentials: { file: '/run/secrets/b.json' },
    });
    expect(node).toMatchObject({ adapter: 'http', credentials: { command: ['pass', 'show', 'node'] } });
  });

  it('are refused when a key is missing, belongs to another kind, or holds a secret itself', () => {
    const text = (keys: string): string => `[[providers]]\nid = "a"\nadapter = "webdav"\n${keys}`;
    expect(() => load(text(''))).toThrow(/c\.toml:1: providers\[0\]\.url: is missing/);
    expect(() => load(text('url = "https://x"\nbucket = "b"'))).toThrow(/c\.toml:5: .*bucket/);
    expect(() => load(text('url = "ftp://x"'))).toThrow(/c\.toml:4: .*url.*https/);
    const inline = text('url = "https://x"\ncredentials = { password = "hunter2" }');
    expect(() => load(inline)).toThrow(/credentials.*env/);
    expect(() => load(inline)).not.toThrow(/hunter2/);
    for (const userinfo of ['user:hunter2@', 'hunter2@', 'u:hunter2\\\\@', 'a@hunter2@', ':hunter2@']) {
      const inUrl = text(`url = "https://${userinfo}example.net/x"`);
      expect(() => load(inUrl), userinfo).toThrow(/c\.toml:4: .*url.*without user and password/);
      expect(() => load(inUrl)).not.toThrow(/hunter2/);
    }
    const plain = 'https://[::1]:8443/a@b?c@d#e@f';
    expect(load(text(`url = "${plain}"`))[0]).toMatchObject({ url: plain });
  });
});
