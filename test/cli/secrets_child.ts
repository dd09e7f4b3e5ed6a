/** Asks on its terminal what hosts and passwords ask, and prints what came: run by secrets_terminal.test.ts. */
import { TerminalSecrets } from '../../src/cli/secrets.ts';

const secrets = new TerminalSecrets({ onInterrupt: () => console.log('interrupted') });
const about = { name: '', instruction: 'Take your token' };
const host = (label: string) => ({ label, user: 'deploy' });
const never = new AbortController().signal;

const questions = [
  { text: 'PIN:', echo: false },
  { text: 'Code:', echo: true },
];
console.log('answers', ...(await secrets.answer(host('web1'), questions, about, never)));

for (const echo of [false, true]) {
  const gone = new AbortController();
  const asked = secrets.answer(host('web2'), [{ text: 'Too late:', echo }], about, gone.signal);
  setTimeout(() => gone.abort(new Error('web2 has gone away')), 20);
  console.log('rejected', await asked.catch((error: Error) => error.message));
}

console.log('password', await secrets.password('deploy'));
console.log('ended', await secrets.password('ops').catch((error: Error) => error.message));
