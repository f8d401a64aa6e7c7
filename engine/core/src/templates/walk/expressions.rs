//! The size of what an expression gives.

use minijinja::machinery::{
    Span,
    ast::{self, BinOpKind, CallArg, Expr},
};

use super::{Walk, Walked, refused};
use crate::templates::{
    filters::{self, Args},
    size::{ITEM, Kind, Linear, Size},
};

impl<'a, 's> Walk<'a, 's> {
    pub(super) fn part(&mut self, expression: &Expr<'a>) -> Walked<Size<'s>> {
        let span = expression.span();
        match expression {
            Expr::Var(name) => Ok(self.named(name.id)),
            Expr::Const(constant) => Ok(Size::literal(&constant.value)),
            Expr::UnaryOp(operation) => {
                self.expression(&operation.expr)?;
                Ok(Size::number())
            }
            Expr::BinOp(operation) => {
                let (left, right) = (self.expression(&operation.left)?, self.expression(&operation.right)?);
                self.operation(operation.op, &left, &right, span)
            }
            Expr::Compare(compared) => {
                let mut read = self.expression(&compared.expr)?.weight();
                for step in &compared.ops {
                    read = read.plus(self.expression(&step.expr)?.weight());
                }
                self.give(Size::number(), Linear::NUMBER, read, span)
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr)?;
                let either = self.expression(&choice.true_expr)?;
                match &choice.false_expr {
                    Some(other) => Ok(either.or(self.expression(other)?)),
                    None => Ok(either),
                }
            }
            Expr::Filter(filter) => {
                let of = filter.expr.as_ref().map(|of| self.expression(of)).transpose()?;
                self.filter(filter, &of.unwrap_or_else(Size::nothing), span)
            }
            Expr::Test(test) => {
                let of = self.expression(&test.expr)?;
                let args = self.args(&test.args, span)?;
                if !filters::is_test(test.name) {
                    return Err(refused(span, &format!("the test {} is not known here", test.name)));
                }
                let read = args.all().fold(of.weight(), |sum, size| sum.plus(size.weight()));
                self.give(Size::number(), Linear::NUMBER, read, span)
            }
            Expr::GetAttr(field) => {
                let of = self.expression(&field.expr)?;
                Ok(filters::part(&of, Some(field.name)))
            }
            Expr::GetItem(item) => self.item(item, span),
            Expr::Slice(slice) => {
                let of = self.expression(&slice.expr)?;
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.expression(bound)?;
                }
                let part = Size { literal: None, levels: of.levels + 1, ..of.clone() };
                self.give(part, of.weight(), of.weight(), span)
            }
            Expr::Call(call) => self.call(call, span),
            Expr::List(list) => self.list(list.items.iter(), span),
            Expr::Map(map) => self.list(map.keys.iter().chain(&map.values), span),
        }
    }

    fn item(&mut self, item: &ast::GetItem<'a>, span: Span) -> Walked<Size<'s>> {
        let of = self.expression(&item.expr)?;
        let key = self.expression(&item.subscript_expr)?;
        let name = key.literal.as_ref().and_then(|key| key.as_str());
        let found = filters::part(&of, name);
        // A list that is not there yet is walked to the place.
        let walked = if of.shape.is_some() { Linear::ZERO } else { of.walked().times(ITEM) };
        self.count(walked, span)?;
        Ok(found)
    }

    fn list<'e>(&mut self, parts: impl Iterator<Item = &'e Expr<'a>>, span: Span) -> Walked<Size<'s>>
    where
        'a: 'e,
    {
        let positional = parts.map(|part| self.expression(part)).collect::<Walked<Vec<Size<'s>>>>()?;
        // Its parts are there already.
        let (count, list) = (positional.len() as u64, Args { positional, named: Vec::new() }.list());
        self.give(list, Linear::fixed(count * ITEM), Linear::ZERO, span)
    }

    fn operation(
        &mut self,
        kind: BinOpKind,
        left: &Size<'s>,
        right: &Size<'s>,
        span: Span,
    ) -> Walked<Size<'s>> {
        let is_number = |size: &Size<'s>| size.kind == Kind::Number;
        let read = left.weight().plus(right.weight());
        let size = match kind {
            BinOpKind::Concat => Size::text(left.as_text().plus(right.as_text())),
            BinOpKind::ScAnd | BinOpKind::ScOr => return Ok(left.clone().or(right.clone())),
            BinOpKind::Add if !is_number(left) && !is_number(right) => {
                let sum = left.and(right);
                Size { levels: sum.levels + 1, ..sum }
            }
            BinOpKind::Mul if !is_number(left) || !is_number(right) => {
                let (of, times) = if is_number(left) { (right, left) } else { (left, right) };
                let times = times.count().ok_or_else(|| {
                    refused(
                        span,
                        "a text or list is repeated a number of times that is not literal: write the number",
                    )
                })?;
                Size {
                    bytes: of.bytes.times(times),
                    items: of.items.times(times),
                    levels: of.levels + 1,
                    shape: None,
                    literal: None,
                    ..of.clone()
                }
            }
            _ => Size::number(),
        };
        let (new, is_safe) = (size.weight(), left.is_safe || right.is_safe);
        self.give(Size { is_safe, ..size }, new, read, span)
    }

    pub(super) fn filtered(&mut self, filter: &Expr<'a>, of: &Size<'s>) -> Walked<Size<'s>> {
        let Expr::Filter(filter) = filter else { return self.expression(filter) };
        // Several filters stand within one another; the innermost has nothing before it.
        let of = match &filter.expr {
            Some(inner) => self.deeper(filter.span(), |walk| walk.filtered(inner, of))?,
            None => of.clone(),
        };
        self.filter(filter, &of, filter.span())
    }

    fn filter(&mut self, filter: &ast::Filter<'a>, of: &Size<'s>, span: Span) -> Walked<Size<'s>> {
        let args = self.args(&filter.args, span)?;
        let (size, new, work) = filters::filter(filter.name, of, &args).map_err(|why| refused(span, &why))?;
        self.give(size, new, work, span)
    }

    pub(super) fn call(&mut self, call: &ast::Call<'a>, span: Span) -> Walked<Size<'s>> {
        let args = self.args(&call.args, span)?;
        let all = args.list();
        let size = match &call.expr {
            Expr::Var(name) => filters::function(name.id, &args).map_err(|why| refused(span, &why))?,
            Expr::GetAttr(method) if matches!(&method.expr, Expr::Var(of) if of.id == "loop") => {
                match method.name {
                    "cycle" => filters::item(&all),
                    "changed" => Size::number(),
                    other => return Err(refused(span, &format!("loop.{other} is not known here"))),
                }
            }
            _ => return Err(refused(span, "only functions and filters can be called here")),
        };
        let new = size.weight();
        self.give(size, new, all.weight(), span)
    }

    fn args(&mut self, args: &[CallArg<'a>], span: Span) -> Walked<Args<'a, 's>> {
        let mut walked = Args { positional: Vec::new(), named: Vec::new() };
        for arg in args {
            match arg {
                CallArg::Pos(value) => walked.positional.push(self.expression(value)?),
                CallArg::Kwarg(name, value) => walked.named.push((name, self.expression(value)?)),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    return Err(refused(
                        span,
                        "arguments with * and ** are not possible here: write them out",
                    ));
                }
            }
        }
        Ok(walked)
    }

    fn named(&self, name: &str) -> Size<'s> {
        let mut all = self.scopes.iter().rev().flat_map(|scope| scope.iter().rev());
        all.find(|(known, _)| *known == name).map_or_else(Size::nothing, |(_, size)| size.clone())
    }
}
