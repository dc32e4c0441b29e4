//! The cost of an operation, before it is executed.
//!
//! A field costs 1, plus the cost of its selections multiplied by its maximum number of rows, plus the
//! cost of finding the rows ([`Charge`]). An introspection field costs the number of fields in its
//! answer. A resolver reads its arguments again for each object, so long arguments cost their bytes
//! ([`ORDINARY`], [`READ`]). The cost depends only on the document, the variables and the schema.
//!
//! **Invariant.** Sums saturate. [`measure`](mod@crate::measure) has bounded the size of the document
//! with fragments expanded, so walking it takes bounded time and stack.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
};

use async_graphql::{
    Name, Variables,
    parser::types::{Field, OperationType, Selection, SelectionSet},
};
use async_graphql_value::{ConstValue, Value};

use crate::{
    arguments,
    error::Error,
    introspection::Introspection,
    types::{self, Types},
};

/// The price of a field, without its selections.
pub type Price = fn(&PricedField<'_>) -> Charge;

/// The cost of a field, in addition to the 1 of every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The maximum number of rows, by which the cost of its selections is multiplied. 1 for a field
    /// that is not a list.
    pub rows: usize,
    /// The cost of finding the rows, regardless of their number.
    pub own: usize,
}

/// A selected field, for computing its price.
pub struct PricedField<'a> {
    /// The object that the field belongs to.
    pub object: &'a str,
    /// The field's name.
    pub field: &'a str,
    known: &'a types::Field,
    selected: &'a Field,
    within: &'a CostCalculator<'a>,
}

/// The limits of an operation, and of the cache of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum nesting of fields.
    pub depth: usize,
    /// The maximum number of fields, multiplied by the rows that they return.
    pub complexity: usize,
    /// The maximum number of aliases.
    pub aliases: usize,
    /// The maximum number of bytes of the cache of operations.
    pub kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 20, complexity: 250_000, aliases: 50, kept: 16 * 1024 * 1024 }
    }
}

/// The cost of an operation.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    depth: usize,
    complexity: usize,
    aliases: usize,
}

/// The prices of a schema's fields.
#[derive(Clone, Copy)]
pub(crate) struct Prices<'a> {
    pub(crate) types: &'a Types,
    pub(crate) price: Price,
    /// The complexity at which counting stops.
    pub(crate) limit: usize,
}

struct CostCalculator<'a> {
    prices: Prices<'a>,
    variables: Option<&'a Variables>,
    /// The bytes of variables that were measured.
    bytes: RefCell<HashMap<Name, usize>>,
    /// The sums of variables that were weighed: by argument, input field and variable.
    sums: RefCell<HashMap<(String, String, Name), usize>>,
    /// Whether a variable was looked up.
    varies: Cell<bool>,
    /// The length of the longest list in an argument `input` of a root field.
    input: usize,
    /// The number of fields counted so far in the answers of introspection fields.
    counted: Cell<usize>,
}

/// The bytes of a field's arguments that cost nothing extra: 100 IDs, or any text of ordinary length.
const ORDINARY: usize = 4 * 1024;
/// The bytes of arguments beyond [`ORDINARY`] that are read in the time of one field.
const READ: usize = 512;

/// The lowest cost of an expensive operation. Few expensive operations are executed at once.
pub(crate) const EXPENSIVE: usize = 10_000;

impl Prices<'_> {
    /// The cost of the expanded selections of a root, if it does not depend on variables.
    pub(crate) fn fixed(self, root: &str, set: &SelectionSet) -> Option<Cost> {
        let (cost, varies) = CostCalculator::compute(self, root, set, None);
        (!varies).then_some(cost)
    }

    /// The cost of the expanded selections of a root.
    pub(crate) fn cost(self, root: &str, set: &SelectionSet, variables: &Variables) -> Cost {
        CostCalculator::compute(self, root, set, Some(variables)).0
    }
}

impl Cost {
    /// Fails if the operation exceeds a limit. Returns its complexity.
    pub(crate) fn limit(self, limits: &Limits) -> Result<usize, Error> {
        for (what, cost, limit) in [
            ("has fields nested to depth", self.depth, limits.depth),
            ("has a cost of", self.complexity, limits.complexity),
            ("has this many aliases:", self.aliases, limits.aliases),
        ] {
            if cost > limit {
                let message = format!("The operation {what} {cost}, but the limit is {limit}.");
                return Err(Error::limit("query", message));
            }
        }
        Ok(self.complexity)
    }
}

impl<'a> CostCalculator<'a> {
    /// The cost, and whether it depends on variables.
    fn compute(
        prices: Prices<'a>,
        root: &str,
        set: &SelectionSet,
        variables: Option<&'a Variables>,
    ) -> (Cost, bool) {
        let mut calculator = Self {
            prices,
            variables,
            bytes: RefCell::default(),
            sums: RefCell::default(),
            varies: Cell::new(false),
            input: 1,
            counted: Cell::new(0),
        };
        calculator.input = calculator.longest_input(set);
        let mut cost = calculator.set(root, set);
        if root == types::root(OperationType::Mutation) {
            let once = calculator.reading_once(set);
            cost.complexity = cost.complexity.saturating_sub(once);
        }
        (cost, calculator.varies.get())
    }

    /// What reading the input of a mutation costs: each argument of the root's fields, and each
    /// variable in these, once. It costs nothing, as it is what the client has sent.
    fn reading_once(&self, set: &SelectionSet) -> usize {
        let seen = RefCell::new(HashSet::new());
        let first = |name: &Name| {
            if seen.borrow_mut().insert(name.clone()) { self.bytes_of(name) } else { 0 }
        };
        let fields = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => reading(arguments::bytes(&field.node, &first)),
            _ => 0,
        });
        fields.fold(0, usize::saturating_add)
    }

    /// The bytes of a variable.
    fn bytes_of(&self, name: &Name) -> usize {
        let Some(value) = self.variable(name) else { return 0 };
        if let Some(bytes) = self.bytes.borrow().get(name) {
            return *bytes;
        }
        let bytes = arguments::bytes_of_constant(value);
        self.bytes.borrow_mut().insert(name.clone(), bytes);
        bytes
    }

    fn set(&self, object: &str, set: &SelectionSet) -> Cost {
        let mut sum = Cost::default();
        for selection in &set.items {
            let cost = match &selection.node {
                Selection::Field(field) => self.field(object, &field.node),
                Selection::InlineFragment(fragment) => {
                    let of = fragment.node.type_condition.as_ref();
                    let of = of.map_or(object, |of| of.node.on.node.as_str());
                    self.set(of, &fragment.node.selection_set.node)
                }
                // fragments are expanded
                Selection::FragmentSpread(_) => continue,
            };
            sum.depth = sum.depth.max(cost.depth);
            sum.complexity = sum.complexity.saturating_add(cost.complexity);
            sum.aliases = sum.aliases.saturating_add(cost.aliases);
        }
        sum
    }

    /// The length of the longest list in an argument `input` of these fields, at least 1.
    fn longest_input(&self, set: &SelectionSet) -> usize {
        let lengths = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => match field.node.get_argument("input") {
                Some(input) => self.length(&input.node),
                None => 1,
            },
            _ => 1,
        });
        lengths.max().unwrap_or(1).max(1)
    }

    fn field(&self, object: &str, field: &Field) -> Cost {
        let Prices { types, price, .. } = self.prices;
        let known = types.field(object, &field.name.node);
        let of = known.map_or("", |known| known.base());
        let inner = self.set(of, &field.selection_set.node);
        let aliases = inner.aliases.saturating_add(usize::from(field.alias.is_some()));
        if let Some(introspection) =
            types.introspection.as_ref().filter(|_| is_introspection(object, field))
        {
            let complexity = self.count_introspection(introspection, field).saturating_add(1);
            // introspection has its own limit of nesting
            return Cost { depth: 1, complexity, aliases };
        }
        let priced = |known| PricedField {
            object,
            field: &field.name.node,
            known,
            selected: field,
            within: self,
        };
        let charge = known.map_or(Charge { rows: 1, own: 0 }, |known| price(&priced(known)));
        let own = charge
            .own
            .saturating_add(reading(arguments::bytes(field, &|name| self.bytes_of(name))));
        let complexity = inner.complexity.saturating_mul(charge.rows).saturating_add(own);
        Cost {
            depth: inner.depth.saturating_add(1),
            complexity: complexity.saturating_add(1),
            aliases,
        }
    }

    /// The number of fields in the answer of an introspection field.
    fn count_introspection(&self, introspection: &Introspection, field: &Field) -> usize {
        let Prices { types, limit, .. } = self.prices;
        if self.variables.is_none() && has_variables(field) {
            self.varies.set(true);
            return 0;
        }
        let none = Variables::default();
        let left = limit.saturating_sub(self.counted.get());
        let fields = introspection.count(types, field, self.variables.unwrap_or(&none), left);
        self.counted.set(self.counted.get() + fields);
        fields
    }

    fn variable(&self, name: &Name) -> Option<&'a ConstValue> {
        self.varies.set(true);
        self.variables?.get(name)
    }

    fn length(&self, value: &Value) -> usize {
        match value {
            Value::List(values) => values.len(),
            Value::Variable(name) => match self.variable(name) {
                Some(ConstValue::List(values)) => values.len(),
                _ => 1,
            },
            _ => 1,
        }
    }
}

impl PricedField<'_> {
    /// Whether the field has an argument with this name.
    #[must_use]
    pub fn takes(&self, argument: &str) -> bool {
        self.known.arguments.contains_key(argument)
    }

    /// Whether a field with this name is selected.
    #[must_use]
    pub fn selects(&self, name: &str) -> bool {
        self.selected.selection_set.node.items.iter().any(|selection| match &selection.node {
            Selection::Field(field) => field.node.name.node == name,
            _ => false,
        })
    }

    /// The integer value of an argument.
    #[must_use]
    pub fn number(&self, argument: &str) -> Option<usize> {
        match self.value(argument)? {
            ConstValue::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        }
    }

    /// The value of an argument that is text or an enum value.
    #[must_use]
    pub fn text(&self, argument: &str) -> Option<String> {
        match self.value(argument)? {
            ConstValue::String(text) => Some(text),
            ConstValue::Enum(name) => Some(name.to_string()),
            _ => None,
        }
    }

    /// The length of an argument that is a list.
    #[must_use]
    pub fn length(&self, argument: &str) -> Option<usize> {
        self.selected.get_argument(argument).map(|value| self.within.length(&value.node))
    }

    /// The length of the longest list in an argument `input` of a root field, at least 1.
    #[must_use]
    pub fn input_length(&self) -> usize {
        self.within.input
    }

    /// The sum of the weights of all values in an argument that are not objects. The name of an
    /// input field decides the weight of its value, and a list of such values counts as one. The
    /// weights of an argument are the same for each field that has it.
    #[must_use]
    pub fn sum(&self, argument: &str, weight: impl Fn(&str, Option<&str>) -> usize) -> usize {
        let Some(value) = self.selected.get_argument(argument) else { return 0 };
        self.within.sum(&Weight { argument, of: &weight }, argument, &value.node)
    }

    /// The value of an argument, with its variables replaced.
    fn value(&self, name: &str) -> Option<ConstValue> {
        let value = self.selected.get_argument(name)?.node.clone();
        value.into_const_with(|name| self.within.variable(&name).cloned().ok_or(())).ok()
    }
}

/// The weights of the values in an argument.
struct Weight<'w> {
    argument: &'w str,
    of: &'w dyn Fn(&str, Option<&str>) -> usize,
}

/// The cost of reading arguments of this many bytes.
fn reading(bytes: usize) -> usize {
    bytes.saturating_sub(ORDINARY) / READ
}

impl CostCalculator<'_> {
    fn sum(&self, weight: &Weight<'_>, name: &str, value: &Value) -> usize {
        match value {
            Value::Variable(variable) => self.sum_of_variable(weight, name, variable),
            Value::Object(fields) => {
                let sums = fields.iter().map(|(name, value)| self.sum(weight, name, value));
                sums.fold(0, usize::saturating_add)
            }
            Value::List(values) if values.iter().any(is_object) => {
                values.iter().fold(0, |sum, one| sum.saturating_add(self.sum(weight, name, one)))
            }
            Value::Enum(value) => (weight.of)(name, Some(value)),
            Value::String(value) => (weight.of)(name, Some(value)),
            _ => (weight.of)(name, None),
        }
    }

    /// Each variable is weighed once, however many fields have it.
    fn sum_of_variable(&self, weight: &Weight<'_>, name: &str, variable: &Name) -> usize {
        let Some(value) = self.variable(variable) else { return 0 };
        let key = (weight.argument.to_owned(), name.to_owned(), variable.clone());
        if let Some(sum) = self.sums.borrow().get(&key) {
            return *sum;
        }
        let sum = sum_of_constant(name, value, weight.of);
        self.sums.borrow_mut().insert(key, sum);
        sum
    }
}

/// Whether a value in a list is an object, a list, or a variable that can be one.
fn is_object(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::List(_) | Value::Variable(_))
}

fn sum_of_constant(
    name: &str,
    value: &ConstValue,
    weight: &dyn Fn(&str, Option<&str>) -> usize,
) -> usize {
    match value {
        ConstValue::Object(fields) => {
            let sums = fields.iter().map(|(name, value)| sum_of_constant(name, value, weight));
            sums.fold(0, usize::saturating_add)
        }
        ConstValue::List(values)
            if values
                .iter()
                .any(|one| matches!(one, ConstValue::Object(_) | ConstValue::List(_))) =>
        {
            let sums = values.iter().map(|one| sum_of_constant(name, one, weight));
            sums.fold(0, usize::saturating_add)
        }
        ConstValue::Enum(value) => weight(name, Some(value)),
        ConstValue::String(value) => weight(name, Some(value)),
        _ => weight(name, None),
    }
}

/// Whether a field of this object is an introspection field.
fn is_introspection(object: &str, field: &Field) -> bool {
    object == types::root(OperationType::Query)
        && matches!(field.name.node.as_str(), "__schema" | "__type")
}

/// Whether an argument of a field or of its selections is a variable.
fn has_variables(field: &Field) -> bool {
    field.arguments.iter().any(|(_, value)| matches!(value.node, Value::Variable(_)))
        || field.selection_set.node.items.iter().any(|selection| match &selection.node {
            Selection::Field(field) => has_variables(&field.node),
            _ => false,
        })
}
