/** User certificates: `id_x-cert.pub` next to a private key makes a key that signs in as certified. */
import { MyriadError } from '../contracts/errors.ts';
import { type Certificate, certificateAlgorithms, plainName } from './certificate.ts';
import type { UserKey } from './private_key.ts';
import { PublicKeyCache } from './public_key.ts';

/** A key with its certificate; `publicBlob` is the certificate, `fingerprint` still the plain key's. */
export interface CertifiedUserKey extends UserKey {
  readonly certificate: Certificate;
}

/** A certificate file of 32 KiB in base64, with a comment. */
const MAX_FILE = 64 * 1024;

/**
 * Reads the text of a certificate file and joins it with its private key. Whether it is still valid is left to the server; ask
 * `validityProblem` to say it early. Throws MyriadError `key`: no certificate, damaged, of a host, of another key.
 */
export function loadCertificate(text: Buffer | string, source: string, key: UserKey): CertifiedUserKey {
  const certificate = parseCertificateText(text, source);
  if (certificate.kind !== 'user') {
    throw new MyriadError(
      'key',
      `the certificate ${source} is a host's; a user's is needed (ssh-keygen -s without -h)`,
    );
  }
  if (!certificate.plainBlob.equals(key.publicBlob)) {
    throw new MyriadError('key', `the certificate ${source} is for another key than ${key.fingerprint}`);
  }
  return {
    keyType: certificate.keyType,
    privateKey: key.privateKey,
    publicBlob: certificate.blob,
    fingerprint: key.fingerprint,
    comment: key.comment,
    signatureAlgorithms: certificateAlgorithms(certificate.keyType),
    // The request names the certificate's algorithm, the signature in it the key's own.
    sign: (data, algorithm) => key.sign(data, plainName(algorithm)),
    certificate,
  };
}

function parseCertificateText(text: Buffer | string, source: string): Certificate {
  if (text.length > MAX_FILE) throw notCertificate(source, 'it has more than 64 KiB');
  const content = typeof text === 'string' ? text : text.toString('latin1');
  const line = content.trim().split('\n', 1)[0]!.trim();
  const [type = '', base64 = ''] = line.split(/[ \t]+/, 3);
  if (plainName(type) === type) throw notCertificate(source, 'expected one line: type, base64, comment');
  const blob = Buffer.from(base64, 'base64');
  if (blob.length === 0 || blob.toString('base64') !== base64) throw notCertificate(source, 'its base64 is damaged');
  let certificate: Certificate | undefined;
  try {
    ({ certificate } = new PublicKeyCache(1).get(blob));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MyriadError('key', `the certificate ${source} is damaged: ${why}`, { cause });
  }
  if (certificate?.keyType !== type) throw notCertificate(source, 'it is not of the type it names');
  return certificate;
}

function notCertificate(source: string, why: string): MyriadError {
  return new MyriadError('key', `${source} is no certificate: ${why}`);
}
