/** Accounts of every kind a server knows, made anew on it. */
import { createAccount, type Server } from '../../src/sandbox/index.ts';

export type MatrixAccount = {
  /** As the table names it. */
  readonly name: string;
  readonly user: string;
  readonly password: string;
  /** Whether the server must remember the account's password, or must have forgotten it, before each login. */
  readonly cache: 'primed' | 'cold' | 'any';
};

type Recipe = {
  readonly name: string;
  readonly plugin: string;
  /** The account's; default one that every plugin takes. */
  readonly password?: string;
  /** What the client says, where that is not the account's. */
  readonly said?: string;
  readonly cache?: MatrixAccount['cache'];
  /** Behind `ALTER USER … `. */
  readonly altered?: string;
};

const CACHING = { plugin: 'caching_sha2_password' };
const NATIVE = { plugin: 'mysql_native_password' };
const RECIPES: Readonly<Record<Server['kind'], readonly Recipe[]>> = {
  mysql: [
    { name: 'caching_sha2 cached', ...CACHING, cache: 'primed' },
    { name: 'caching_sha2 cold', ...CACHING, cache: 'cold' },
    { name: 'sha256_password', plugin: 'sha256_password' },
    { name: 'empty password', ...CACHING, password: '' },
    { name: 'wrong password', ...CACHING, said: 'wrong' },
    { name: 'locked', ...CACHING, altered: 'ACCOUNT LOCK' },
    { name: 'expired', ...CACHING, altered: 'PASSWORD EXPIRE' },
  ],
  mariadb: [
    { name: 'native', ...NATIVE },
    { name: 'ed25519', plugin: 'ed25519' },
    { name: 'parsec', plugin: 'parsec' },
    { name: 'caching_sha2 cached', ...CACHING, cache: 'primed' },
    { name: 'caching_sha2 cold', ...CACHING, cache: 'cold' },
    { name: 'empty password', ...CACHING, password: '' },
    { name: 'wrong password', ...NATIVE, said: 'wrong' },
    { name: 'locked', ...NATIVE, altered: 'ACCOUNT LOCK' },
    { name: 'expired', ...NATIVE, altered: 'PASSWORD EXPIRE' },
  ],
};

export async function createMatrixAccounts(server: Server): Promise<readonly MatrixAccount[]> {
  const accounts: MatrixAccount[] = [];
  for (const { name, plugin, password = 'of-the-matrix', said, cache = 'any', altered } of RECIPES[
    server.kind
  ]) {
    const user = `m_${name.replaceAll(' ', '_')}`;
    await createAccount(server, { user, password, plugin });
    if (altered !== undefined) await server.query(`ALTER USER ?@'%' ${altered}`, [user]);
    accounts.push({ name, user, password: said ?? password, cache });
  }
  return accounts;
}
