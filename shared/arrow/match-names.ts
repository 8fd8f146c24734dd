import { DataType, type Field, FixedSizeList, LargeList, List, Map_, Schema, Struct } from "apache-arrow";

/** The columns of rows, matched with the fields of a struct of the table by their names. */
export interface NameMatch {
  /** For each column of the rows: the index of the table's field, or `undefined` if it has none. */
  readonly fields: readonly (number | undefined)[];
  /** Names that do not tell one field from another, as parts of a sentence. */
  readonly problems: readonly string[];
}

/**
 * Matches columns of rows with fields of a table. A name that is equal comes first, then one that
 * differs only in case, as in Spark.
 */
export function matchNames(table: readonly string[], rows: readonly string[], path: string): NameMatch {
  const problems: string[] = [];
  const used = new Map<string, string>();
  const fields = rows.map((name) => {
    const candidates = indexesOf(table, name);
    if (candidates.length > 1) {
      const names = candidates.map((index) => `"${path}${table[index]}"`).join(" and ");
      problems.push(`"${path}${name}" may be each of the table's columns ${names}`);
    }
    const [index] = candidates;
    // A second column for the same field, or two new columns that Spark cannot tell apart.
    const key = index === undefined ? `new ${name.toLowerCase()}` : `field ${index}`;
    const first = used.get(key);
    if (first !== undefined) problems.push(twice(path, first, name));
    used.set(key, name);
    return index;
  });
  return { fields, problems };
}

function indexesOf(table: readonly string[], name: string): readonly number[] {
  const exact = table.indexOf(name);
  if (exact >= 0) return [exact];
  const lower = name.toLowerCase();
  return table.flatMap((other, i) => (other.toLowerCase() === lower ? [i] : []));
}

function twice(path: string, first: string, second: string): string {
  return first === second
    ? `the rows have "${path}${first}" twice`
    : `the rows have "${path}${first}" and "${path}${second}", which differ only in case`;
}

/** Returns the names of fields. */
export function namesOf(fields: readonly { readonly name: string }[]): string[] {
  return fields.map(({ name }) => name);
}

/**
 * Returns the schema of rows with the names that the table has for its columns, also inside
 * structs, lists and maps. Returns `rows` itself if all names are those of the table.
 */
export function renamedLike(rows: Schema, table: Schema): Schema {
  const fields = renamedFields(rows.fields, table.fields);
  return fields === rows.fields ? rows : new Schema([...fields], rows.metadata);
}

function renamedFields(own: readonly Field[], table: readonly Field[]): readonly Field[] {
  const match = matchNames(namesOf(table), namesOf(own), "");
  const renamed = own.map((field, i) => {
    const index = match.fields[i];
    const like = index === undefined ? undefined : table[index];
    return like === undefined ? field : renamedField(field, like.name, like.type);
  });
  return renamed.every((field, i) => field === own[i]) ? own : renamed;
}

function renamedField(field: Field, name: string, like: DataType): Field {
  const type = renamedType(field.type, like);
  return name === field.name && type === field.type ? field : field.clone({ name, type });
}

/** Names inside a dictionary stay as they are. */
function renamedType(type: DataType, like: DataType): DataType {
  if (DataType.isStruct(type) && DataType.isStruct(like)) {
    const fields = renamedFields(type.children, like.children);
    return fields === type.children ? type : new Struct([...fields]);
  }
  const [own, other] = [type, like].map((one) =>
    isList(one) || DataType.isMap(one) ? one.children[0] : undefined,
  );
  if (own === undefined || other === undefined) return type;
  const item = DataType.isMap(type) ? renamedEntries(own, other) : renamedField(own, own.name, other.type);
  return item === own ? type : withItem(type, item);
}

/** The key and the value of a map have other names in each program, so their order counts. */
function renamedEntries(own: Field, like: Field): Field {
  const others = like.type.children as readonly Field[];
  const parts = (own.type.children as readonly Field[]).map((part, i) =>
    renamedField(part, part.name, others[i]?.type ?? part.type),
  );
  const isSame = parts.every((part, i) => part === own.type.children[i]);
  return isSame ? own : own.clone({ type: new Struct(parts) });
}

function isList(type: DataType): type is List | LargeList | FixedSizeList {
  return DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type);
}

function withItem(type: DataType, item: Field): DataType {
  if (DataType.isMap(type)) return new Map_(item as never, type.keysSorted);
  if (DataType.isFixedSizeList(type)) return new FixedSizeList(type.listSize, item);
  return DataType.isLargeList(type) ? new LargeList(item) : new List(item);
}
