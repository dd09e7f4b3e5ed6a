/** What is sent to hosts is learnt as a secret. */
import { describe, expect, test } from 'vitest';
import { Redactor } from '../../src/engine/redact.ts';
import { Secrets } from '../../src/engine/secrets.ts';
import type { AnswerSource, LoginHost } from '../../src/fleet/passwords.ts';
import { SentSecrets } from '../../src/fleet/sent_secrets.ts';

const host: LoginHost = { label: 'web1', name: 'web1', user: 'root', port: 22 };

function world() {
  const secrets = new Secrets();
  const redactor = new Redactor([], secrets);
  return { sent: new SentSecrets(secrets), text: (text: string) => redactor.text(text) };
}

describe('passwords', () => {
  test('that are there, as soon as they are known', () => {
    const { sent, text } = world();
    expect(sent.passwords('hunter22')).toBe('hunter22');
    expect(text('hunter22')).toBe('[redacted]');
    expect(sent.passwords(undefined)).toBeUndefined();
  });

  test.each([
    ['at once', () => 'hunter22'],
    ['later', async () => 'hunter22'],
  ])('that are asked for, before who asked has them: %s', async (_when, source) => {
    const { sent, text } = world();
    const watched = sent.passwords(source) as Exclude<ReturnType<SentSecrets['passwords']>, string | undefined>;
    expect(text('hunter22')).toBe('hunter22');
    const got = await Promise.resolve(watched(host)).then((value) => [value, text('hunter22')]);
    expect(got).toEqual(['hunter22', '[redacted]']);
    // What is known of a source's passwords goes by the source.
    expect(sent.passwords(source)).toBe(watched);
  });

  test('none, and one that cannot be had', async () => {
    const { sent } = world();
    const ask = (source: () => Promise<string | undefined>) =>
      (sent.passwords(source) as (host: LoginHost) => Promise<string | undefined>)(host);
    expect(await ask(async () => undefined)).toBeUndefined();
    await expect(ask(async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

describe('answers', () => {
  test('those that are hidden; a host that asks again with the answer in its words shows it to nobody', async () => {
    const { sent, text } = world();
    const seen: string[] = [];
    const source: AnswerSource = async (_host, prompts, { name, instruction }) => {
      seen.push(name, instruction, ...prompts.map((prompt) => prompt.text));
      return prompts.map(({ echo }) => (echo ? 'in the open' : 'hunter22'));
    };
    const watched = sent.answers(source)!;
    const { signal } = new AbortController();
    const prompts = [
      { text: 'Password:', echo: false },
      { text: 'Name:', echo: true },
    ];
    await watched(host, prompts, { name: 'login', instruction: '' }, signal);
    expect([text('hunter22'), text('in the open')]).toEqual(['[redacted]', 'in the open']);
    const again = [{ text: 'hunter22 is wrong:', echo: false }];
    await watched(host, again, { name: 'not hunter22', instruction: 'hunter22?' }, signal);
    expect(seen.slice(4)).toEqual(['not [redacted]', '[redacted]?', '[redacted] is wrong:']);
    expect(sent.answers(undefined)).toBeUndefined();
  });
});
