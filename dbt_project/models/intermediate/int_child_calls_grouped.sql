{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with recursive operations as (

    select * from {{ ref('stg_llm_ops__operations') }}
    where parent_operation_id is not null

),

calls as (

    select
        operation_id,
        parent_operation_id,
        loaded_at,
        {{ is_span('operation_type') }} as is_span
    from operations
    where input_tokens is not null or output_tokens is not null or recorded_cost_usd is not null

),

-- An agent may work for an agent: what calls belong to belongs to something as well. Pairs, so that a circle ends.
ancestors as (

    select
        parent_operation_id,
        parent_operation_id as operation_id
    from calls
    union
    select
        ancestors.parent_operation_id,
        operations.parent_operation_id as operation_id
    from ancestors
    inner join operations on ancestors.operation_id = operations.operation_id

),

-- What an agent used that is part of itself is left to nobody.
counted as (

    select
        calls.parent_operation_id,
        count(*) as child_call_count,
        max(calls.loaded_at) as last_child_loaded_at
    from calls
    left join ancestors
        on
            calls.is_span
            and calls.parent_operation_id = ancestors.parent_operation_id
            and calls.operation_id = ancestors.operation_id
    where ancestors.operation_id is null
    group by calls.parent_operation_id

),

final as (

    select
        ancestors.operation_id,
        cast(sum(counted.child_call_count) as bigint) as child_call_count,
        max(counted.last_child_loaded_at) as last_child_loaded_at
    from ancestors
    inner join counted on ancestors.parent_operation_id = counted.parent_operation_id
    group by ancestors.operation_id

)

select * from final
