/** What a look at host keys found, for a person. */
import { describe, expect, it } from 'vitest';
import { KeyReview } from '../../src/output/key_review.ts';
import { fold, label } from './helpers.ts';

const key = (name: string, type = 'ssh-ed25519') => ({ type, fingerprint: `SHA256:${name.padEnd(43, '.')}` });

function review(more = {}): KeyReview {
  return new KeyReview({ label, fold, ...more });
}

describe('a review of keys', () => {
  it('of nothing says nothing', () => {
    const empty = review();
    empty.add(0, [], 'none');
    expect(empty.lines()).toEqual([]);
    expect({ keys: empty.keys, hosts: empty.hosts }).toEqual({ keys: 0, hosts: 0 });
  });

  it('counts hosts by type, and names the keys that are shared', () => {
    const found = review();
    for (let host = 0; host < 6; host++) {
      found.add(host, [key(`own${host}`), key(host < 4 ? 'same' : `rsa${host}`, 'ssh-rsa')], 'none');
    }
    expect({ keys: found.keys, hosts: found.hosts }).toEqual({ keys: 12, hosts: 6 });
    expect(found.lines()).toEqual([
      '6 hosts show keys that are not known yet:',
      '  6 ssh-ed25519: web[1-6]',
      '  6 ssh-rsa: web[1-6]',
      '1 key is shared by several hosts, as one machine or one image has them; else ask why:',
      `  ssh-rsa ${key('same').fingerprint}: web[1-4] (4)`,
    ]);
  });

  it('names the five keys that most hosts share, or all of them', () => {
    const add = (to: KeyReview) => {
      for (let host = 0; host < 21; host++) to.add(host, [key(`of${host % 7}`)], 'none');
      return to.lines();
    };
    expect(add(review()).slice(3)).toHaveLength(6);
    expect(add(review()).at(-1)).toBe('  … and 2 more keys; -v lists all');
    const all = add(review({ verbose: true }));
    expect(all.slice(2)).toEqual(['keys, and who has them:', ...all.slice(3)]);
    expect(all.slice(3)).toHaveLength(7);
  });

  it('tells what DNS says', () => {
    const found = review();
    found.add(0, [key('a')], 'secure');
    found.add(1, [key('b')], 'match');
    expect(found.lines().slice(2)).toEqual([
      '1 host with SSHFP records in DNS that DNSSEC vouches for',
      '1 host with SSHFP records in DNS, without DNSSEC',
    ]);
  });

  it('fits the terminal', () => {
    const found = review({ columns: 80 });
    for (let host = 0; host < 400; host += 2) found.add(host, [key('same'), key(`own${host}`, 'ssh-rsa')], 'match');
    expect(found.lines().length).toBeGreaterThan(5);
    for (const line of found.lines()) expect(line.length, line).toBeLessThanOrEqual(80);
    // A key and its hosts share a line nowhere: it is 66 columns long by itself.
    expect(found.lines().join('\n')).toMatch(/ssh-ed25519 SHA256:same\.+:\n {2}web1,/);
  });
});
