import {
  DataType,
  Dictionary,
  Field,
  FixedSizeList,
  LargeList,
  List,
  Map_,
  Schema,
  Struct,
  Union,
} from "apache-arrow";

/**
 * Returns the schema with an id of its own for each dictionary, in the order of the columns. In a
 * user's schema two columns may share an id and have different dictionaries. A dictionary inside
 * the values of another has the higher id.
 */
export function fileSchema(schema: Schema): Schema {
  let next = 0;
  const fieldOf = (field: Field): Field =>
    new Field(field.name, typeOf(field.type), field.nullable, field.metadata);
  const typeOf = (type: DataType): DataType => {
    if (DataType.isDictionary(type)) {
      const id = next++;
      return new Dictionary(typeOf(type.dictionary), type.indices, id, type.isOrdered);
    }
    if (DataType.isStruct(type)) return new Struct(type.children.map(fieldOf));
    if (DataType.isList(type)) return new List(fieldOf(type.valueField));
    if (DataType.isLargeList(type)) return new LargeList(fieldOf(type.children[0] as Field));
    if (DataType.isFixedSizeList(type))
      return new FixedSizeList(type.listSize, fieldOf(type.children[0] as Field));
    if (DataType.isMap(type)) return new Map_(fieldOf(type.children[0] as Field), type.keysSorted);
    if (DataType.isUnion(type))
      return new Union(type.mode, type.typeIds, (type.children as Field[]).map(fieldOf));
    return type;
  };
  return new Schema(schema.fields.map(fieldOf), schema.metadata);
}
