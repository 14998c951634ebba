import COnnxProto
import GraphRuntime

/// AttributeProto.AttributeType.
private enum AttributeType: Int32 {
    case float = 1
    case int = 2
    case string = 3
    case tensor = 4
    case graph = 5
    case floats = 6
    case ints = 7
    case strings = 8
    case tensors = 9
    case graphs = 10
    case sparseTensor = 11
    case sparseTensors = 12
    case typeProto = 13
    case typeProtos = 14
}

extension MessageReader {
    /// - Throws: ``LoadError`` with the attribute's name.
    func attribute(
        _ pointer: UnsafePointer<Onnx__AttributeProto>, _ opsets: [String: Int]
    ) throws(LoadError) -> NamedAttribute {
        let name = unsafe text(pointer.pointee.name)
        do throws(LoadError) {
            guard !name.isEmpty else { throw LoadError(.graph, "the attribute has no name") }
            let reference = unsafe text(pointer.pointee.ref_attr_name)
            if !reference.isEmpty { return NamedAttribute(name: name, content: .reference(reference)) }
            return unsafe NamedAttribute(name: name, content: try content(pointer.pointee, opsets))
        } catch {
            throw error.prefixed("attribute \(name.shortened(to: String.longestName))")
        }
    }

    /// The value by the stated type, or by the field that is given where no type is stated, as before IR version 2.
    private func content(_ proto: Onnx__AttributeProto, _ opsets: [String: Int]) throws(LoadError) -> NamedAttribute.Content {
        let given = unsafe Self.given(proto)
        let type: AttributeType
        if unsafe proto.type == 0 {
            guard given.count == 1, let only = given.first else {
                throw LoadError(.graph, "the type isn't stated and the values of \(given.count) types are given")
            }
            type = only
        } else {
            guard let stated = unsafe AttributeType(rawValue: proto.type) else {
                throw LoadError(.unsupported, unsafe "the attribute type \(proto.type) isn't known")
            }
            // A number that is 0 or an empty list may be left out.
            guard given.isEmpty || given.contains(stated) else {
                throw LoadError(.graph, "the stated type is \(stated), but a value of type \(given[0]) is given")
            }
            type = stated
        }
        switch type {
        case .float: return unsafe .value(.float(proto.f))
        case .int: return unsafe .value(.int(proto.i))
        case .string: return unsafe .value(.string(try string(proto.s)))
        case .floats: return unsafe .value(.floats(numbers(proto.n_floats, proto.floats)))
        case .ints: return unsafe .value(.ints(numbers(proto.n_ints, proto.ints)))
        case .strings:
            var values: [String] = []
            for unsafe(element) in unsafe numbers(proto.n_strings, proto.strings) { unsafe values.append(try string(element)) }
            return .value(.strings(values))
        case .graph:
            guard let graph = unsafe proto.g else { throw LoadError(.graph, "the graph is missing") }
            return unsafe .graph(try self.graph(UnsafePointer(graph), opsets))
        case .graphs:
            var values: [NamedGraph] = []
            for unsafe(graph) in unsafe messages(proto.n_graphs, proto.graphs) {
                unsafe values.append(try self.graph(graph, opsets))
            }
            return .graphs(values)
        case .typeProto:
            guard let value = unsafe try valueType(proto.tp.map { unsafe UnsafePointer($0) }) else {
                throw LoadError(.graph, "the type is missing")
            }
            return .value(.type(value))
        case .typeProtos:
            var values: [ValueType] = []
            for unsafe(entry) in unsafe messages(proto.n_type_protos, proto.type_protos) {
                guard let value = unsafe try valueType(entry) else { throw LoadError(.graph, "a type is missing") }
                values.append(value)
            }
            return .value(.types(values))
        case .tensor, .tensors, .sparseTensor, .sparseTensors: return unsafe .value(try tensorContent(proto, type))
        }
    }

    /// Tensors; sparse ones become dense.
    private func tensorContent(_ proto: Onnx__AttributeProto, _ type: AttributeType) throws(LoadError) -> AttributeValue {
        var values: [Tensor] = []
        switch type {
        case .tensor:
            guard let tensor = unsafe proto.t else { throw LoadError(.graph, "the tensor is missing") }
            return unsafe .tensor(try tensors.tensor(UnsafePointer(tensor)))
        case .sparseTensor:
            guard let tensor = unsafe proto.sparse_tensor else { throw LoadError(.graph, "the sparse tensor is missing") }
            return unsafe .tensor(try tensors.dense([UnsafePointer(tensor)])[0])
        case .tensors:
            for unsafe(tensor) in unsafe messages(proto.n_tensors, proto.tensors) {
                unsafe values.append(try tensors.tensor(tensor))
            }
        default:
            values = unsafe try tensors.dense(messages(proto.n_sparse_tensors, proto.sparse_tensors))
        }
        return .tensors(values)
    }

    private static func given(_ proto: Onnx__AttributeProto) -> [AttributeType] {
        let fields: [(Bool, AttributeType)] = unsafe [
            (proto.has_f != 0, .float), (proto.has_i != 0, .int), (proto.has_s != 0, .string), (proto.t != nil, .tensor),
            (proto.g != nil, .graph), (proto.n_floats > 0, .floats), (proto.n_ints > 0, .ints), (proto.n_strings > 0, .strings),
            (proto.n_tensors > 0, .tensors), (proto.n_graphs > 0, .graphs), (proto.sparse_tensor != nil, .sparseTensor),
            (proto.n_sparse_tensors > 0, .sparseTensors), (proto.tp != nil, .typeProto), (proto.n_type_protos > 0, .typeProtos),
        ]
        return fields.filter(\.0).map(\.1)
    }
}
