// The interfaces of a TypeScript file, as the compiler sees them.
import ts from 'typescript';

/** By name: for each member whether it may be missing, and what it may be. */
export function interfaces(file) {
  const program = ts.createProgram([file], { strict: true, target: ts.ScriptTarget.ES2022 });
  const checker = program.getTypeChecker();
  const found = {};
  program.getSourceFile(file).forEachChild((statement) => {
    if (!ts.isInterfaceDeclaration(statement)) return;
    const type = checker.getTypeAtLocation(statement);
    found[statement.name.text] = Object.fromEntries(
      type.getProperties().map((property) => {
        const optional = (property.flags & ts.SymbolFlags.Optional) !== 0;
        const kinds = new Set(parts(checker.getTypeOfSymbolAtLocation(property, statement)).map((part) => kind(checker, part)));
        kinds.delete('undefined');
        return [property.name, { optional, kinds }];
      }),
    );
  });
  return found;
}

function parts(type) {
  return type.isUnion() ? type.types : [type];
}

function kind(checker, type) {
  if (type.isStringLiteral()) return JSON.stringify(type.value);
  if (type.flags & ts.TypeFlags.String) return 'string';
  if (type.flags & ts.TypeFlags.Number) return 'number';
  if (type.flags & ts.TypeFlags.BooleanLike) return 'boolean';
  if (type.flags & ts.TypeFlags.Null) return 'null';
  if (type.flags & ts.TypeFlags.Undefined) return 'undefined';
  return checker.isArrayType(type) ? 'array' : 'object';
}
