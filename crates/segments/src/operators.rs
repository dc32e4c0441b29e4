//! The operators of rules, and the types that support them.

/// An operator: a test, or its exact complement.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    pub(crate) test: Test,
    pub(crate) is_negative: bool,
}

/// The test of a positive operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    BeginsWith,
    EndsWith,
    Present,
    In,
    Between,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// The type of a contact.
    ContactType,
    Id,
    Time,
    /// JSON, which has the type of the value that it is compared with.
    Json,
    Number,
    Boolean,
    /// The ID of a campaign. A contact can be related to many.
    Campaign,
}

const fn positive(name: &'static str, test: Test) -> Operator {
    Operator { name, test, is_negative: false }
}

const fn negative(name: &'static str, test: Test) -> Operator {
    Operator { name, test, is_negative: true }
}

/// All operators, in the order of the editor.
pub(crate) static OPERATORS: [Operator; 18] = [
    positive("=", Test::Equal),
    negative("!=", Test::Equal),
    positive("<", Test::Less),
    positive(">", Test::Greater),
    positive("<=", Test::LessOrEqual),
    positive(">=", Test::GreaterOrEqual),
    positive("contains", Test::Contains),
    positive("beginsWith", Test::BeginsWith),
    positive("endsWith", Test::EndsWith),
    negative("doesNotContain", Test::Contains),
    negative("doesNotBeginWith", Test::BeginsWith),
    negative("doesNotEndWith", Test::EndsWith),
    negative("null", Test::Present),
    positive("notNull", Test::Present),
    positive("in", Test::In),
    negative("notIn", Test::In),
    positive("between", Test::Between),
    negative("notBetween", Test::Between),
];

/// The operator of rules that only name a field and its value.
pub(crate) fn equal() -> &'static Operator {
    OPERATORS.iter().find(|operator| operator.name == "=").expect("the list has this operator")
}

impl Kind {
    /// Whether fields of this type support this test.
    pub(crate) fn takes(self, test: Test) -> bool {
        match test {
            Test::Equal => true,
            Test::Less
            | Test::LessOrEqual
            | Test::Greater
            | Test::GreaterOrEqual
            | Test::Between => {
                matches!(self, Self::Text | Self::Time | Self::Json | Self::Number)
            }
            Test::Contains | Test::BeginsWith | Test::EndsWith => {
                matches!(self, Self::Text | Self::Json)
            }
            Test::Present => self != Self::Campaign,
            Test::In => self != Self::Boolean,
        }
    }

    /// The operators that fields of this type support.
    pub(crate) fn operators(self) -> impl Iterator<Item = &'static Operator> {
        OPERATORS.iter().filter(move |operator| self.takes(operator.test))
    }
}
