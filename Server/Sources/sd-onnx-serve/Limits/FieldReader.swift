/// Fields of a request, of JSON or of a form.
protocol FieldReader {
    func text(_ name: String, atMost limit: Int) throws -> String?
    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int?
    func number(_ name: String, in range: ClosedRange<Double>) throws -> Double?
    func flag(_ name: String) throws -> Bool?
}

extension RequestFields: FieldReader {}
extension OpenAIFields: FieldReader {}
