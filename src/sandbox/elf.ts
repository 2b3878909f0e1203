/**
 * Lets a program unpacked from a newer distribution run with that distribution's own dynamic loader, by pointing its
 * PT_INTERP header at it. Compared with starting `ld.so program`, the process keeps its own name and
 * /proc/self/exe, which programs that look for their own files (MySQL Router) need; compared with chroot, it needs
 * no privilege. The kernel reads the path from the file and not from memory, so it may stand behind the last section.
 *
 * Layout: ELF-64 Object File Format, version 1.5, sections 2 and 8.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** The loader a dynamically linked ELF-64 little-endian executable asks for; `undefined` for any other file. */
export async function readInterpreter(path: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const header = await findInterpreter(file);
    return header?.interpreter;
  } finally {
    await file.close();
  }
}

/** Rewrites the executable at `path` to ask for `interpreter`. The file must be one `readInterpreter` understands. */
export async function writeInterpreter(path: string, interpreter: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const header = await findInterpreter(file);
    if (header === undefined) throw new TypeError(`${path} is not a dynamically linked ELF-64 executable`);
    const text = Buffer.from(`${interpreter}\0`);
    const { size } = await file.stat();
    await file.write(text, 0, text.length, size);
    const entry = Buffer.from(header.entry);
    entry.writeBigUInt64LE(BigInt(size), P_OFFSET);
    entry.writeBigUInt64LE(BigInt(text.length), P_FILESZ);
    await file.write(entry, 0, entry.length, header.entryOffset);
  } finally {
    await file.close();
  }
}

type InterpreterHeader = {
  readonly entryOffset: number;
  readonly entry: Buffer;
  readonly interpreter: string;
};

async function findInterpreter(file: FileHandle): Promise<InterpreterHeader | undefined> {
  const head = await readAt(file, 0, ELF_HEADER_BYTES);
  const isElf64LittleEndian =
    head.length === ELF_HEADER_BYTES &&
    head.readUInt32BE(0) === 0x7f45_4c46 &&
    head.readUInt16BE(4) === 0x0201;
  if (!isElf64LittleEndian) return undefined;
  const tableOffset = Number(head.readBigUInt64LE(0x20));
  const entryBytes = head.readUInt16LE(0x36);
  const entryCount = head.readUInt16LE(0x38);
  for (let index = 0; index < entryCount; index += 1) {
    const entryOffset = tableOffset + index * entryBytes;
    const entry = await readAt(file, entryOffset, entryBytes);
    if (entry.length < entryBytes || entry.readUInt32LE(0) !== PT_INTERP) continue;
    const textOffset = Number(entry.readBigUInt64LE(P_OFFSET));
    const text = await readAt(file, textOffset, Number(entry.readBigUInt64LE(P_FILESZ)));
    return { entryOffset, entry, interpreter: text.toString('utf8').replace(/\0+$/, '') };
  }
  return undefined;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

const ELF_HEADER_BYTES = 64;
const PT_INTERP = 3;
const P_OFFSET = 0x08;
const P_FILESZ = 0x20;
