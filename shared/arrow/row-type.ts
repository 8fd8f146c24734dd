import { Binary, DataType, type Field, List, Utf8 } from "apache-arrow";

/**
 * Returns the type that values of a type have in rows: a dictionary's values, text, bytes or a list
 * for each of their encodings. Sinks that take rows need to know no others. The fields of structs
 * and the items of lists are not replaced.
 */
export function rowType(type: DataType): DataType {
  if (DataType.isDictionary(type)) return rowType(type.dictionary);
  if (DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return new Utf8();
  const isBytes =
    DataType.isLargeBinary(type) || DataType.isBinaryView(type) || DataType.isFixedSizeBinary(type);
  if (isBytes) return new Binary();
  const isList = DataType.isLargeList(type) || DataType.isFixedSizeList(type);
  return isList ? new List((type.children as Field[])[0] as Field) : type;
}
