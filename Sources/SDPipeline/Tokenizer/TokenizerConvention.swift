/// Whose token ids a tokenizer gives.
///
/// Both agree on English and on most text in alphabets. They differ for ideographs, control and zero-width characters (so for joined
/// emoji too), a capital sigma at a word's end, and added tokens, of which transformers 5 finds most in any case.
public enum TokenizerConvention: String, CaseIterable, Sendable {
    /// The ids of transformers' `CLIPTokenizer` from version 5 on, which are those of `CLIPTokenizerFast` before it and, but for
    /// what ftfy and `html.unescape` mend, of OpenAI's own tokenizer.
    case transformers5
    /// The ids of transformers' `CLIPTokenizer` up to version 4, the one in Python, where ftfy isn't installed.
    case transformers4
}
