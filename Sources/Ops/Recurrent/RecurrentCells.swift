import GraphRuntime

extension RNNCell {
    static let definitions = RecurrentOperator<RNNCell>.definitions("RNN", since: [1, 7, 14, 22], functions: ["Tanh"]) { _ in
        RNNCell()
    }
}

extension GRUCell {
    static let definitions = RecurrentOperator<GRUCell>.definitions(
        "GRU", since: [1, 3, 7, 14, 22], functions: ["Sigmoid", "Tanh"]
    ) { decoder in
        GRUCell(resetsLate: decoder.version >= 3 ? try decoder.bool("linear_before_reset", default: false) : false)
    }
}

extension LSTMCell {
    static let definitions = RecurrentOperator<LSTMCell>.definitions(
        "LSTM", since: [1, 7, 14, 22], functions: ["Sigmoid", "Tanh", "Tanh"]
    ) { decoder in
        LSTMCell(couplesGates: try decoder.bool("input_forget", default: false))
    }
}
