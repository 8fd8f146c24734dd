import { DataType, type Field, type Union } from "apache-arrow";

/**
 * True if values of both types have the same layout and meaning. The names of a list's elements and
 * of a map's parts are not compared, as different programs call them differently; nor is it if
 * fields may be null, which depends on the values.
 */
export function isSameType(one: DataType, other: DataType): boolean {
  if (one.typeId !== other.typeId) return false;
  if (DataType.isDictionary(one) && DataType.isDictionary(other)) {
    return isSameType(one.indices, other.indices) && isSameType(one.dictionary, other.dictionary);
  }
  const [own, others] = [childrenOf(one), childrenOf(other)];
  if (own.length === 0 && others.length === 0) return parametersOf(one) === parametersOf(other);
  return (
    own.length === others.length &&
    parametersOf(one) === parametersOf(other) &&
    own.every(({ type }, i) => isSameType(type, (others[i] as Field).type))
  );
}

function childrenOf(type: DataType): readonly Field[] {
  return (type.children as readonly Field[] | undefined) ?? [];
}

/** What makes types of the same kind differ, apart from the types of their children. */
function parametersOf(type: DataType): string {
  if (DataType.isDecimal(type)) return `${type} ${type.bitWidth}`;
  if (DataType.isStruct(type)) return namesOf(type);
  if (DataType.isUnion(type))
    return `${(type as Union).mode} ${[...(type as Union).typeIds]} ${namesOf(type)}`;
  if (DataType.isFixedSizeList(type)) return String(type.listSize);
  return childrenOf(type).length === 0 ? String(type) : "";
}

function namesOf(type: DataType): string {
  return JSON.stringify(childrenOf(type).map(({ name }) => name));
}
