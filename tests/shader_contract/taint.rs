//! Which expressions of a shader are made of data: of what buffers hold, or what was computed from it. Everything else is made
//! of constants, counters and the invocation's place. Where data decide which way control goes, how far a counter runs, is
//! not followed: that is for docs/safety.md to look at.

use std::collections::BTreeSet;

use naga::{AddressSpace, Binding, Block, Expression, Function, Handle, LocalVariable, Module, Statement};

/// How many indexes into workgroup, private and function memory (or into a vector) the module computes, none of them of data;
/// or where one is.
pub fn check(module: &Module) -> Result<usize, String> {
    let mut analysis =
        Analysis { module, arguments: BTreeSet::new(), results: BTreeSet::new(), locals: BTreeSet::new() };
    // What is tainted only grows, so this ends.
    while analysis.spread() {}
    let mut found = 0;
    for (place, function) in analysis.functions() {
        for (_, expression) in function.expressions.iter() {
            let Expression::Access { base, index } = *expression else { continue };
            if analysis.is_in_buffer(function, base) {
                continue;
            }
            found += 1;
            if analysis.is_tainted(place, function, index) {
                return Err(format!("{} has an index that depends on data", name(function)));
            }
        }
    }
    Ok(found)
}

/// A function or, behind all of them, an entry point, by number.
type Place = usize;

struct Analysis<'a> {
    module: &'a Module,
    /// Tainted arguments, or arguments that point to what is.
    arguments: BTreeSet<(Place, u32)>,
    results: BTreeSet<Place>,
    locals: BTreeSet<(Place, Handle<LocalVariable>)>,
}

fn name(function: &Function) -> &str {
    function.name.as_deref().unwrap_or("main")
}

impl<'a> Analysis<'a> {
    fn functions(&self) -> Vec<(Place, &'a Function)> {
        let functions = self.module.functions.iter().map(|(_, function)| function);
        functions.chain(self.module.entry_points.iter().map(|entry| &entry.function)).enumerate().collect()
    }

    /// Goes through all statements once; whether anything new is tainted.
    fn spread(&mut self) -> bool {
        let before = self.arguments.len() + self.results.len() + self.locals.len();
        for (place, function) in self.functions() {
            for (local, variable) in function.local_variables.iter() {
                if variable.init.is_some_and(|init| self.is_tainted(place, function, init)) {
                    self.locals.insert((place, local));
                }
            }
            self.block(place, function, &function.body);
        }
        self.arguments.len() + self.results.len() + self.locals.len() > before
    }

    fn block(&mut self, place: Place, function: &'a Function, block: &'a Block) {
        for statement in block.iter() {
            match statement {
                Statement::Block(inner) => self.block(place, function, inner),
                Statement::If { accept, reject, .. } => {
                    self.block(place, function, accept);
                    self.block(place, function, reject);
                }
                Statement::Loop { body, continuing, .. } => {
                    self.block(place, function, body);
                    self.block(place, function, continuing);
                }
                Statement::Switch { cases, .. } => {
                    cases.iter().for_each(|case| self.block(place, function, &case.body));
                }
                Statement::Store { pointer, value } if self.is_tainted(place, function, *value) => {
                    self.taint_target(place, function, *pointer);
                }
                Statement::Return { value: Some(value) } if self.is_tainted(place, function, *value) => {
                    self.results.insert(place);
                }
                Statement::Call { function: callee, arguments, .. } => self.call(place, function, *callee, arguments),
                _ => {}
            }
        }
    }

    fn call(
        &mut self,
        place: Place,
        function: &'a Function,
        callee: Handle<Function>,
        arguments: &[Handle<Expression>],
    ) {
        let callee = callee.index();
        for (number, &argument) in (0..).zip(arguments) {
            if self.is_tainted(place, function, argument) {
                self.arguments.insert((callee, number));
            }
            // What a function writes where an argument points to, it has written for the caller.
            if self.arguments.contains(&(callee, number)) {
                self.taint_target(place, function, argument);
            }
        }
    }

    /// Marks what a pointer leads to.
    fn taint_target(&mut self, place: Place, function: &Function, pointer: Handle<Expression>) {
        match function.expressions[pointer] {
            Expression::LocalVariable(local) => {
                self.locals.insert((place, local));
            }
            Expression::FunctionArgument(number) => {
                self.arguments.insert((place, number));
            }
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
                self.taint_target(place, function, base);
            }
            _ => {}
        }
    }

    fn is_in_buffer(&self, function: &Function, base: Handle<Expression>) -> bool {
        match function.expressions[base] {
            Expression::GlobalVariable(global) => matches!(
                self.module.global_variables[global].space,
                AddressSpace::Storage { .. } | AddressSpace::Uniform
            ),
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => self.is_in_buffer(function, base),
            _ => false,
        }
    }

    /// Of a pointer: whether what it leads to is tainted.
    fn is_tainted(&self, place: Place, function: &Function, expression: Handle<Expression>) -> bool {
        let tainted = |expression: Handle<Expression>| self.is_tainted(place, function, expression);
        match &function.expressions[expression] {
            Expression::Literal(_) | Expression::Constant(_) | Expression::Override(_) | Expression::ZeroValue(_) => {
                false
            }
            Expression::LocalVariable(local) => self.locals.contains(&(place, *local)),
            Expression::FunctionArgument(number) => {
                let builtin = matches!(function.arguments[*number as usize].binding, Some(Binding::BuiltIn(_)));
                !builtin && self.arguments.contains(&(place, *number))
            }
            Expression::CallResult(callee) => self.results.contains(&callee.index()),
            Expression::Access { base, index } => tainted(*base) || tainted(*index),
            Expression::AccessIndex { base, .. } => tainted(*base),
            Expression::Load { pointer } => tainted(*pointer),
            Expression::Splat { value, .. } => tainted(*value),
            Expression::Swizzle { vector, .. } => tainted(*vector),
            Expression::Compose { components, .. } => components.iter().any(|&component| tainted(component)),
            Expression::Unary { expr, .. } | Expression::As { expr, .. } => tainted(*expr),
            Expression::Binary { left, right, .. } => tainted(*left) || tainted(*right),
            Expression::Select { condition, accept, reject } => {
                tainted(*condition) || tainted(*accept) || tainted(*reject)
            }
            Expression::Relational { argument, .. } => tainted(*argument),
            Expression::Math { arg, arg1, arg2, arg3, .. } => {
                tainted(*arg) || [arg1, arg2, arg3].into_iter().flatten().any(|&argument| tainted(argument))
            }
            // Buffers and workgroup memory, and what subgroups and atomics answer.
            _ => true,
        }
    }
}
