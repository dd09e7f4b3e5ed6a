/** What to do about an outcome: at most one sentence, empty where there is nothing to say beyond the message. */
import type {
  FailedOutcome,
  NotPermittedOutcome,
  Outcome,
  RefusedOutcome,
  TimeoutOutcome,
  UnreachableOutcome,
} from '../contracts/outcome.ts';

export function outcomeAdvice(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'failed':
      if (outcome.status !== null) return failedAdvice(outcome);
      // A job of the user's own has said what there is to say.
      return outcome.cause === 'job' ? '' : sudoAdvice(outcome);
    case 'signalled':
      return outcome.signal === 'KILL' ? "look for the out-of-memory killer in the host's log" : '';
    case 'no-status':
      return 'network gear ends so: --ok-status none accepts it';
    case 'refused':
      return refusedAdvice(outcome);
    case 'timeout':
      return timeoutAdvice(outcome);
    case 'unreachable':
      return unreachableAdvice(outcome);
    case 'auth-failed':
      return 'check -l, --identity and what the host lets in (authorized_keys, AllowUsers)';
    case 'protocol':
      return 'check that an SSH server answers on that port';
    case 'lost':
      return 'look there before repeating it: the job may have run';
    case 'error':
      return outcome.code === 'job' ? 'the function of the job is at fault' : 'a fault on this side, not of the host';
    // Its message says what to do about one host.
    case 'host-key':
      if (outcome.cause === 'unknown') return 'for many: myriad trust collects their keys for review';
      return outcome.cause === 'changed'
        ? 'for many: find out why first; myriad check names the way for each cause'
        : '';
    // These ended as it was asked for.
    case 'ok':
    case 'cancelled':
    case 'skipped':
    case 'not-run':
      return '';
  }
}

/** The two statuses that a POSIX shell gives by itself. */
function failedAdvice(outcome: FailedOutcome): string {
  if (outcome.status === 127) return 'the host knows no such command: check its name and PATH there';
  if (outcome.status === 126) return 'the host cannot execute it: check its mode and format there';
  return '';
}

function sudoAdvice({ message, cause }: NotPermittedOutcome): string {
  if (/password is required|Authentication required/i.test(message)) {
    return cause === 'sudo' ? 'give its password: -K or --sudo-password-file' : 'let doas.conf say nopass there';
  }
  return `check what ${cause} lets this account do there`;
}

function refusedAdvice(outcome: RefusedOutcome): string {
  switch (outcome.what) {
    case 'algorithm':
      return 'the server is too old, or set up too narrowly: see KexAlgorithms, HostKeyAlgorithms, Ciphers and MACs there';
    case 'service':
      return 'check that the server allows user logins';
    case 'session':
      return "check the server's MaxSessions and the account's shell";
    case 'exec':
      return 'check for ForceCommand, command= in authorized_keys, or a restricted shell';
    case 'subsystem':
      return "check for Subsystem in the server's sshd_config";
    case 'forwarding':
      return 'check AllowTcpForwarding and PermitOpen on the jump host, and that the target answers';
    case 'lock':
      return /^locked by /.test(outcome.reason)
        ? 'run it there again when that run is over'
        : 'mend what it says there, or leave out --lock';
  }
}

function timeoutAdvice(outcome: TimeoutOutcome): string {
  switch (outcome.phase) {
    case 'dns':
      return 'check the name server';
    case 'connect':
      return 'the host is down or a firewall drops the packets; -t waits longer';
    case 'handshake':
    case 'auth':
    case 'open':
      return 'the server hangs or is overloaded: try a lower -f';
    case 'command':
      return '-u sets how long a command may take';
    case 'idle':
      return '--idle sets how long a command may be silent';
    case 'run':
      return '--deadline sets how long the run may take';
  }
}

function unreachableAdvice(outcome: UnreachableOutcome): string {
  switch (outcome.cause) {
    case 'dns':
      return 'check the spelling and the name server';
    case 'refused':
      return 'nothing listens there: check -p and that sshd runs';
    case 'no-route':
      return 'check the address and the routes from here';
    case 'reset':
      return 'a firewall or the server ended it: check both';
    case 'local-limit':
      return 'this machine ran out of descriptors, ports or memory: raise the limit or lower -f';
    case 'proxy':
      return 'try the ProxyCommand by hand: what it says on stderr stands here';
    case 'jump':
      return 'mend the way through the jump host first: all of these hosts lie behind it';
    case 'throttled':
      return 'the server limits logins (MaxStartups, PerSourcePenalties): raise them there, or try a lower -f';
  }
}
