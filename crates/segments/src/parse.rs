//! Parses JSON into a checked tree.

use serde_json::{Map, Value as Json};

use crate::{
    error::RuleError,
    fields::Field,
    operators::{self, OPERATORS, Operator, Test},
    rules::{Combinator, Node, Operand, Rule, Rules, Value},
    values::{self, Items},
};

/// The maximum nesting of groups.
const MAX_LEVELS: usize = 10;
/// The maximum number of rules.
const MAX_RULES: usize = 500;
/// The maximum number of values in `in` and `notIn`.
const MAX_VALUES: usize = 1_000;
/// The maximum number of values in all lists of the rules.
const MAX_VALUES_IN_ALL: usize = 30_000;

/// Keys of the editor's format that change the meaning of a rule and are not supported.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("lhs", "Expressions are not supported. Compare the field itself."),
    ("match", "Matching parts of a list is not supported."),
];
const NO_FIELD: &str =
    "Rules do not have this field. `segmentFields` lists the ones that they have.";

type Object = Map<String, Json>;

impl Rules {
    /// Parses rules.
    ///
    /// # Errors
    /// The first error in them.
    pub fn parse(value: &Json) -> Result<Self, RuleError> {
        let object = object(value)?;
        let mut parser = Parser::default();
        let node = if object.contains_key("field") || is_group(object) {
            parser.node(object, 1)?
        } else {
            Some(parser.flat(object)?)
        };
        Ok(Self(node.unwrap_or_else(|| Node::constant(true))))
    }
}

fn object(value: &Json) -> Result<&Object, RuleError> {
    value.as_object().ok_or_else(|| RuleError::new("This must be a JSON object."))
}

fn is_group(object: &Object) -> bool {
    object.contains_key("combinator") || object.contains_key("rules")
}

/// A flag, false if it is missing.
fn flag(object: &Object, key: &str) -> Result<bool, RuleError> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(value)) => Ok(*value),
        Some(_) => Err(RuleError::new("This must be true or false.").within(key)),
    }
}

/// Text under a key.
fn text<'a>(object: &'a Object, key: &str) -> Result<&'a str, RuleError> {
    let value = object.get(key).and_then(Json::as_str);
    value.ok_or_else(|| RuleError::new("This must be text.").within(key))
}

/// The parser, with the numbers of rules and listed values so far, which are bounded.
#[derive(Default)]
struct Parser {
    rules: usize,
    values: usize,
}

impl Parser {
    /// A group or a rule, or `None` if it is muted. A `disabled` rule is only locked in the editor, and
    /// still applies.
    fn node(&mut self, object: &Object, level: usize) -> Result<Option<Node>, RuleError> {
        if flag(object, "muted")? {
            return Ok(None);
        }
        if is_group(object) {
            self.group(object, level).map(Some)
        } else {
            self.rule(object).map(Some)
        }
    }

    fn group(&mut self, object: &Object, level: usize) -> Result<Node, RuleError> {
        if level > MAX_LEVELS {
            return Err(RuleError::new(format!("Groups nest up to {MAX_LEVELS} levels deep.")));
        }
        let joined_by = match object.get("combinator").and_then(Json::as_str) {
            Some("and") => Combinator::And,
            Some("or") => Combinator::Or,
            _ => return Err(RuleError::new("This must be `and` or `or`.").within("combinator")),
        };
        let is_negated = flag(object, "not")?;
        let rules = match object.get("rules") {
            None => &[],
            Some(Json::Array(rules)) => rules.as_slice(),
            Some(_) => return Err(RuleError::new("This must be a list.").within("rules")),
        };
        let mut nodes = Vec::new();
        for (index, value) in rules.iter().enumerate() {
            if value.is_string() {
                let message =
                    "Combinators between rules are not supported. Give the group one combinator.";
                return Err(RuleError::new(message).within(index).within("rules"));
            }
            let node = self::object(value).and_then(|object| self.node(object, level + 1));
            let node = node.map_err(|error| error.within(index).within("rules"))?;
            nodes.extend(node);
        }
        Ok(Node::group(joined_by, is_negated, nodes))
    }

    fn rule(&mut self, object: &Object) -> Result<Node, RuleError> {
        self.count()?;
        for (key, message) in UNSUPPORTED {
            if object.get(key).is_some_and(|value| !value.is_null()) {
                return Err(RuleError::new(message).within(key));
            }
        }
        match object.get("valueSource") {
            None | Some(Json::Null) => {}
            Some(Json::String(source)) if source == "value" => {}
            Some(_) => {
                let message = "A field can only be compared with a value.";
                return Err(RuleError::new(message).within("valueSource"));
            }
        }
        let (field, keys) = Field::find(text(object, "field")?)
            .ok_or_else(|| RuleError::new(NO_FIELD).within("field"))?;
        let name = text(object, "operator")?;
        let operator = field.kind.operators().find(|operator| operator.name == name);
        let operator = operator.ok_or_else(|| {
            let message = if OPERATORS.iter().any(|operator| operator.name == name) {
                "The field does not support this operator."
            } else {
                "Rules do not have this operator."
            };
            RuleError::new(message).within("operator")
        })?;
        let value = object.get("value").unwrap_or(&Json::Null);
        let operand =
            self.operand(field, operator, value).map_err(|error| error.within("value"))?;
        Ok(Node::Rule(Rule { field, keys, operator, operand }))
    }

    /// An object with a value for each field.
    fn flat(&mut self, object: &Object) -> Result<Node, RuleError> {
        let equal = operators::equal();
        let mut nodes = Vec::new();
        for (name, value) in object {
            let rule = self.count().and_then(|()| {
                let (field, keys) = Field::find(name).ok_or_else(|| RuleError::new(NO_FIELD))?;
                let operand = self.operand(field, equal, value)?;
                Ok(Node::Rule(Rule { field, keys, operator: equal, operand }))
            });
            nodes.push(rule.map_err(|error| error.within(name))?);
        }
        Ok(Node::group(Combinator::And, false, nodes))
    }

    fn count(&mut self) -> Result<(), RuleError> {
        self.rules += 1;
        if self.rules > MAX_RULES {
            return Err(RuleError::new(format!("There may be up to {MAX_RULES} rules.")));
        }
        Ok(())
    }

    fn operand(
        &mut self,
        field: &Field,
        operator: &Operator,
        value: &Json,
    ) -> Result<Operand, RuleError> {
        Ok(match operator.test {
            Test::Present => Operand::Nothing,
            Test::In => Operand::Many(self.list(field, value)?),
            Test::Between => {
                let items = Items::of(value)?;
                if items.len() != 2 {
                    return Err(RuleError::new("This must be two values."));
                }
                let (from, to) = (items.value(field.kind, 0)?, items.value(field.kind, 1)?);
                match (&from, &to) {
                    (Value::Boolean(_), _) | (_, Value::Boolean(_)) => {
                        return Err(RuleError::new("These cannot be ordered."));
                    }
                    _ if std::mem::discriminant(&from) != std::mem::discriminant(&to) => {
                        return Err(RuleError::new("These must be of one type."));
                    }
                    _ => Operand::Range(from, to),
                }
            }
            test => Operand::One(values::one(field.kind, test, value)?),
        })
    }

    fn list(&mut self, field: &Field, value: &Json) -> Result<Vec<Value>, RuleError> {
        let items = Items::of(value)?;
        self.values += items.len();
        if items.len() > MAX_VALUES {
            return Err(RuleError::new(format!("There may be up to {MAX_VALUES} values.")));
        }
        if self.values > MAX_VALUES_IN_ALL {
            let message = format!("All lists may have up to {MAX_VALUES_IN_ALL} values together.");
            return Err(RuleError::new(message));
        }
        (0..items.len())
            .map(|index| match items.value(field.kind, index)? {
                Value::Boolean(_) => Err(items.fault(index, "This cannot be true or false.")),
                value => Ok(value),
            })
            .collect()
    }
}
