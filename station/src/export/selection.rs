//! From a filter to the orders and products that it takes: the one place where customers are told apart.

use std::collections::{BTreeMap, BTreeSet};

use super::{ExportError, Filter};
use crate::journal::ExportSnapshot;
use crate::record::{Order, OrderId, Product, ProductId};

/// What a filter takes, with everything that rows say of orders and products. It is as large as the list of orders.
pub(super) struct Selection {
    pub(super) filter: Filter,
    orders: BTreeMap<OrderId, Order>,
    products: BTreeMap<ProductId, Product>,
    /// The orders whose rows are taken; `None` where rows of no order are taken as well.
    taken: Option<BTreeSet<OrderId>>,
}

impl Selection {
    pub(super) async fn resolve(
        filter: &Filter,
        snapshot: &mut ExportSnapshot,
    ) -> Result<Self, ExportError> {
        filter.check()?;
        let products = snapshot.products().await?;
        let orders = snapshot.orders().await?;
        let mut selection = Self {
            filter: filter.clone(),
            orders: orders.into_iter().map(|order| (order.id, order)).collect(),
            products: products
                .into_iter()
                .map(|product| (product.id, product))
                .collect(),
            taken: None,
        };
        selection.refuse_unknown()?;
        if filter.narrows_orders() {
            let orders = selection.orders.values();
            let taken = orders.filter(|order| selection.fits(order));
            selection.taken = Some(taken.map(|order| order.id).collect());
        }
        Ok(selection)
    }

    /// An export of something that isn't there would look like one of something that has no units.
    fn refuse_unknown(&self) -> Result<(), ExportError> {
        let filter = &self.filter;
        let mut orders = self.orders.values();
        let products = || self.products.values();
        let unknown = |what, name: &String| {
            Err(ExportError::Unknown {
                what,
                name: name.escape_debug().to_string(),
            })
        };
        match (&filter.order, &filter.product, &filter.customer) {
            (Some(name), _, _) if !orders.any(|order| is_order(order, name)) => {
                unknown("order", name)
            }
            (_, Some(name), _) if !products().any(|product| is_product(product, name)) => {
                unknown("product", name)
            }
            (_, _, Some(name)) if !products().any(|product| product.customer == *name) => {
                unknown("customer", name)
            }
            _ => Ok(()),
        }
    }

    fn fits(&self, order: &Order) -> bool {
        let filter = &self.filter;
        let Some(product) = self.products.get(&order.product) else {
            return false;
        };
        let order_fits = filter.order.as_ref().map(|name| is_order(order, name));
        order_fits.unwrap_or(true) && self.product_fits(product)
    }

    fn product_fits(&self, product: &Product) -> bool {
        let (name, customer) = (&self.filter.product, &self.filter.customer);
        name.as_ref().is_none_or(|name| is_product(product, name))
            && customer
                .as_ref()
                .is_none_or(|customer| product.customer == *customer)
    }

    /// Whether rows of no order, such as an operator's, are left out.
    pub(super) const fn is_narrow(&self) -> bool {
        self.taken.is_some()
    }

    /// Whether a row of this order is taken.
    pub(super) fn takes(&self, order: Option<OrderId>) -> bool {
        match &self.taken {
            None => true,
            Some(taken) => order.is_some_and(|order| taken.contains(&order)),
        }
    }

    /// Whether a row about this product is taken: it fits by itself, and where an order is named it is that order's.
    pub(super) fn takes_product(&self, id: ProductId) -> bool {
        let Some(taken) = &self.taken else {
            return true;
        };
        let fits = self
            .products
            .get(&id)
            .is_some_and(|product| self.product_fits(product));
        let is_built = || {
            let mut orders = taken.iter().filter_map(|order| self.orders.get(order));
            orders.any(|order| order.product == id)
        };
        fits && (self.filter.order.is_none() || is_built())
    }

    /// The orders to go through one after the other; `None` where all units are gone through.
    pub(super) fn orders(&self) -> Option<Vec<OrderId>> {
        self.taken
            .as_ref()
            .map(|taken| taken.iter().copied().collect())
    }

    /// An order and its product.
    pub(super) fn order(&self, id: OrderId) -> Option<(&Order, Option<&Product>)> {
        let order = self.orders.get(&id)?;
        Some((order, self.products.get(&order.product)))
    }
}

fn is_order(order: &Order, name: &str) -> bool {
    order.name == name || order.id.to_string() == name
}

fn is_product(product: &Product, name: &str) -> bool {
    product.name == name || product.id.to_string() == name
}
