import { DataType, type Field, type List } from "apache-arrow";

/** Fields that rows had and their schema lacks, so that they were left out. */
export interface LeftOut {
  /** The first names, each cut. */
  readonly names: readonly string[];
  /** Number of rows that are known to have had such fields. */
  readonly rows: number;
}

/** The fields of a schema by their names, and those of the structs in them. */
export class KnownFields {
  readonly names: ReadonlySet<string>;
  /** The fields that are structs, or lists or maps of structs. */
  readonly structs: ReadonlyMap<string, { readonly type: DataType; readonly fields: KnownFields }>;

  constructor(fields: readonly Field[], further: readonly string[] = []) {
    this.names = new Set([...fields.map(({ name }) => name), ...further]);
    this.structs = new Map(
      fields.flatMap(({ name, type }) => {
        const inner = structFieldsOf(type);
        return inner === undefined ? [] : [[name, { type, fields: new KnownFields(inner) }]];
      }),
    );
  }
}

function structFieldsOf(type: DataType): readonly Field[] | undefined {
  if (DataType.isStruct(type)) return type.children;
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) return structFieldsOf(type.valueType);
  if (DataType.isMap(type)) return structFieldsOf(type.valueType);
  return undefined;
}

/** Returns the structs in a value, as far as it has the form of the type. */
function structsIn(value: unknown, type: DataType): readonly object[] {
  if (typeof value !== "object" || value === null) return [];
  if (DataType.isStruct(type)) return Array.isArray(value) ? [] : [value];
  const isMap = DataType.isMap(type);
  if (!isMap && !Array.isArray(value)) return [];
  const items: readonly unknown[] = value instanceof Map ? [...value.values()] : Object.values(value);
  const item = isMap ? type.valueType : (type as List).valueType;
  return items.slice(0, ITEMS_LOOKED_AT).flatMap((each) => structsIn(each, item));
}

const MAX_NAMES = 20;
const LONGEST_NAME = 64;
/** After this many rows with further fields, the names of each 64th row only are looked at. */
const LOOKED_AT = 1000;
const STRIDE = 64;
const RECORDS_LOOKED_AT = 100;
const RECORDS_STRIDE = 16;
/** Of a list or a map, the structs in the first items only are looked at. */
const ITEMS_LOOKED_AT = 100;

/**
 * Collects the names of fields that rows have and the schema lacks. Names are those of objects, so
 * few are kept, and they are cut: an object that is used as a map has content as its names.
 */
export class LeftOutFields {
  readonly #names = new Set<string>();
  #rows = 0;
  #records = 0;

  /**
   * Looks at a row that is an object. All fields of the schema are in it, or it is an error.
   * Structs are looked into like records.
   */
  look(row: object, known: KnownFields): void {
    let count = 0;
    for (const _ in row) count++;
    if (count <= known.names.size) {
      if (known.structs.size > 0) this.lookAtRecord(row, known);
      return;
    }
    this.#rows++;
    if (this.#rows > LOOKED_AT && this.#rows % STRIDE !== 0) return;
    this.#keepOf(row, known, "");
  }

  /**
   * Looks at a record of which the known fields may be missing: at the first ones, and then at each
   * 16th.
   */
  lookAtRecord(record: object, known: KnownFields): void {
    if (++this.#records > RECORDS_LOOKED_AT && this.#records % RECORDS_STRIDE !== 0) return;
    if (this.#keepOf(record, known, "")) this.#rows++;
  }

  /** Adds what was left out elsewhere. */
  add(names: readonly string[], rows: number): void {
    this.#keep(names, new Set(), "");
    this.#rows += rows;
  }

  /** The fields that were left out, or `undefined`. */
  get found(): LeftOut | undefined {
    return this.#names.size === 0 ? undefined : { names: [...this.#names], rows: this.#rows };
  }

  /** Keeps the unknown names of an object and its structs. Returns true if there are any. */
  #keepOf(object: object, { names, structs }: KnownFields, prefix: string): boolean {
    let hasUnknown = this.#keep(Object.keys(object), names, prefix);
    for (const [name, { type, fields }] of structs) {
      for (const struct of structsIn(Reflect.get(object, name), type))
        if (this.#keepOf(struct, fields, `${prefix}${name}.`)) hasUnknown = true;
    }
    return hasUnknown;
  }

  /** Returns true if there are unknown names. */
  #keep(names: readonly string[], known: ReadonlySet<string>, prefix: string): boolean {
    let hasUnknown = false;
    for (const name of names) {
      if (known.has(name)) continue;
      hasUnknown = true;
      if (this.#names.size >= MAX_NAMES) break;
      const path = `${prefix}${name}`;
      this.#names.add(path.length > LONGEST_NAME ? `${path.slice(0, LONGEST_NAME - 1)}…` : path);
    }
    return hasUnknown;
  }
}
