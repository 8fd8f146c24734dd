import { crc32 } from "node:zlib";

/**
 * Returns an uncompressed zip archive of files. It is enough for the code of a small Lambda
 * function.
 */
export function zip(files: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = Buffer.from(path);
    const data = Buffer.from(text);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0); // the version of zip that a reader needs
    fields.writeUInt16LE(33, 8); // the date, 1 January 1980
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    locals.push(Buffer.from("PK\x03\x04"), fields, name, data);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(0o100644 * 2 ** 16, 6);
    place.writeUInt32LE(offset, 10);
    entries.push(Buffer.from("PK\x01\x02"), Buffer.from([20, 3]), fields, place, name);
    offset += 4 + fields.length + name.length + data.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  const count = Object.keys(files).length;
  end.writeUInt16LE(count, 4);
  end.writeUInt16LE(count, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06"), end]);
}
